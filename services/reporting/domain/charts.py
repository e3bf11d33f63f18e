"""Vega-Lite specifications of a report's charts, with their data inline; nothing is fetched."""

from typing import Any

import numpy as np
import polars as pl

from services.reporting.domain.document import Chart
from services.reporting.domain.standards import Range

BIN_WIDTH = 0.05
LOWEST_RATIO, HIGHEST_RATIO = 0.0, 2.0
MOST_POINTS = 4_000
INK, RANGE_FILL, ACCENT, BAR = "#1f2933", "#e6efe9", "#b4451f", "#4a6d8c"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "Libertinus Serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": "#e3e6e8",
        "domainColor": "#8a949e",
        "tickColor": "#8a949e",
    },
}


def ratio_histogram(used: pl.DataFrame, median: float, level: Range) -> Chart:
    """How many sales have which ratio, in bins of 0.05; ratios above 2 stand in the last bin."""
    edges = np.arange(LOWEST_RATIO, HIGHEST_RATIO + 2 * BIN_WIDTH, BIN_WIDTH)
    clipped = used["ratio"].to_numpy().clip(LOWEST_RATIO, HIGHEST_RATIO + BIN_WIDTH / 2)
    counts, _ = np.histogram(clipped, edges)
    filled = np.flatnonzero(counts)
    first, last = int(filled[0]), int(filled[-1])
    first = min(first, max(int(level[0] / BIN_WIDTH) - 1, 0))  # the IAAO range is always in view
    last = max(last, min(int(level[1] / BIN_WIDTH) + 1, len(counts) - 1))
    bars = [
        {"from": round(float(edges[i]), 2), "to": round(float(edges[i + 1]), 2), "sales": int(counts[i])}
        for i in range(first, last + 1)
    ]
    busiest = bars[int(np.argmax([bar["sales"] for bar in bars]))]
    alt_text = (
        f"Histogram of {used.height:,} assessment ratios. The fullest bin, {busiest['from']:.2f} to "
        f"{busiest['to']:.2f}, holds {busiest['sales']:,} sales. The median ratio is {median:.3f}; the "
        f"shaded band is the IAAO level range {level[0]:.2f} to {level[1]:.2f}."
    )
    x_axis = {"title": "Ratio of value to sale price", "format": ".2f", "grid": False}
    bar_layer = {
        "data": {"values": bars},
        "mark": {"type": "bar", "color": BAR, "stroke": "white", "strokeWidth": 0.5},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "axis": x_axis,
                "scale": {"zero": False, "nice": False},
            },
            "x2": {"field": "to"},
            "y": {"field": "sales", "type": "quantitative", "axis": {"title": "Sales", "tickMinStep": 1}},
            "y2": {"datum": 0},
        },
    }
    layers = [_level_band("x", level), bar_layer, _median_rule("x", median)]
    return Chart("ratio_histogram", "Distribution of ratios", alt_text, _layered(layers, width=340))


def ratio_by_price(used: pl.DataFrame, median: float, level: Range, *, deciles: list[dict[str, float]]) -> Chart:
    """Each sale's ratio over its price (logarithmic), with the median of each value decile as a line."""
    ordered = used.sort("price_usd", "sale_id")
    step = -(-ordered.height // MOST_POINTS)
    drawn = ordered.gather_every(max(step, 1)).select("price_usd", "ratio")
    shown = drawn.with_columns(pl.col("ratio").clip(LOWEST_RATIO, HIGHEST_RATIO + BIN_WIDTH))
    prices = ordered["price_usd"].to_list()
    alt_text = (
        f"Scatter plot of the ratio over the sale price of {drawn.height:,} of {used.height:,} sales, prices "
        f"from ${prices[0]:,.0f} to ${prices[-1]:,.0f}, with the median ratio of each value decile as a line:"
        f" {_decile_words(deciles)}."
    )
    x = {
        "field": "price_usd",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"title": "Sale price (USD, logarithmic)", "format": "$,.3~s", "grid": False, "tickCount": 6},
    }
    y = {
        "field": "ratio",
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"title": "Ratio", "format": ".2f", "tickCount": 6},
    }
    points = {
        "data": {"values": shown.to_dicts()},
        "mark": {"type": "point", "filled": True, "size": 18, "opacity": 0.55, "color": BAR},
        "encoding": {"x": x, "y": y},
    }
    line = {
        "data": {"values": deciles},
        "mark": {"type": "line", "color": ACCENT, "strokeWidth": 2, "point": {"color": ACCENT, "size": 30}},
        "encoding": {"x": x, "y": y},
    }
    layers = [_level_band("y", level), points, _median_rule("y", median), line]
    return Chart("ratio_by_price", "Ratio by sale price", alt_text, _layered(layers, width=340))


def value_by_group(title: str, groups: list[dict[str, str | float]]) -> Chart:
    """The assessed value of the largest groups as bars, in millions of USD."""
    words = ", ".join(f"{row['group']} {row['millions']:,.1f}" for row in groups[:5])
    alt_text = f"Bar chart of assessed value by group in millions of dollars; the largest are {words}."
    specification = {
        "$schema": SCHEMA,
        "width": 520,
        "height": {"step": 17},
        "config": CONFIG,
        "data": {"values": groups},
        "mark": {"type": "bar", "color": BAR},
        "encoding": {
            "y": {
                "field": "group", "type": "nominal", "sort": None,
                "axis": {"title": None, "labelLimit": 160, "domain": False, "ticks": False},
            },
            "x": {
                "field": "millions", "type": "quantitative",
                "axis": {"title": "Assessed value (USD millions)", "format": ",~f", "tickCount": 6},
            },
        },
    }  # fmt: skip
    return Chart("value_by_group", title, alt_text, specification)


def _layered(layers: list[dict[str, Any]], *, width: int) -> dict[str, Any]:
    return {"$schema": SCHEMA, "width": width, "height": 220, "config": CONFIG, "layer": layers}


def _level_band(axis: str, level: Range) -> dict[str, Any]:
    low, high = level
    return {
        "data": {"values": [{"low": low, "high": high}]},
        "mark": {"type": "rect", "color": RANGE_FILL},
        "encoding": {axis: {"field": "low", "type": "quantitative"}, f"{axis}2": {"field": "high"}},
    }


def _median_rule(axis: str, median: float) -> dict[str, Any]:
    return {
        "data": {"values": [{"median": median}]},
        "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3], "strokeWidth": 1.2},
        "encoding": {axis: {"field": "median", "type": "quantitative"}},
    }


def _decile_words(deciles: list[dict[str, float]]) -> str:
    return ", ".join(f"{row['ratio']:.3f}" for row in deciles) or "too few sales"
