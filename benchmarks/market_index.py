"""The price index against the planted one, and on King County beside repeat sales: figures, and pictures of both.

    python -m benchmarks.market_index [--pictures docs/pictures]

King County's sales are read from the shared data (`TERRAFUSION_SHARED_DATA`).
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import vl_convert

from appraisal.price_trend import month_number
from appraisal.repeat_sales import repeat_sales_index
from appraisal.sale_screening import ScreeningRules
from contracts.api.market import MarketSegment, MarketStudy
from services.ingest.synthetic.prices import MONTHLY_TREND_PERCENT
from services.ingest.synthetic.world import build_world
from services.market.domain.index_chart import KnownIndex, draw_indices
from services.market.domain.segments import Segment, segments_asked
from services.market.domain.study import Terms, study_market
from tests.support.king_county import king_county_sales
from tests.support.synthetic_sales import RESIDENTIAL, VACANT, synthetic_market

PARCELS = 200_000
PICTURE_SCALE = 1.2


def main() -> None:
    """Print what both markets came to, as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="the folder to draw both into")
    pictures: Path | None = parser.parse_args().pictures
    print(json.dumps({"synthetic": synthetic(pictures), "king_county": king_county(pictures)}, indent=1))


def synthetic(pictures: Path | None) -> dict[str, Any]:
    """Fifty thousand sales of the synthetic county's process, by segment, against what was planted."""
    market = synthetic_market(build_world(parcels=PARCELS, seed=7, tax_year=2026))
    rules = ScreeningRules(from_date=date(2021, 1, 1), to_date=date(2025, 12, 31))
    segments = segments_asked(None, residential=RESIDENTIAL, vacant=VACANT)
    started = time.process_time()
    study = study_market(
        market.sales, county="synthetic", rules=rules, segments=segments, terms=Terms(parcels=market.parcels)
    )
    seconds = time.process_time() - started
    months = [point.month for point in study.segments[0].months]
    planted = {month: (1 + MONTHLY_TREND_PERCENT / 100) ** number for number, month in enumerate(months)}
    draw(study, pictures, "market_synthetic.png", KnownIndex("planted", planted))
    return {
        "cpu_seconds": round(seconds, 1),
        "planted_monthly_percent": MONTHLY_TREND_PERCENT,
        "segments": [_against(part, planted) for part in study.segments],
    }


def king_county(pictures: Path | None) -> dict[str, Any]:
    """The three indices of the last month and of February 2015, and what the pairs say with and without a constant."""
    sales = king_county_sales()
    rules = ScreeningRules(from_date=date(2014, 5, 1), to_date=date(2015, 5, 31))
    started = time.process_time()
    study = study_market(sales, county="king", rules=rules, segments=[Segment("all", ("",))])
    seconds = time.process_time() - started
    draw(study, pictures, "market_king_county.png", None)
    part = study.segments[0]
    shown = {"month", "sales", "index", "interval", "median_index", "repeat_sales_index", "repeat_sales_interval"}
    return {
        "cpu_seconds": round(seconds, 1),
        "monthly_trend_percent": part.monthly_trend_percent,
        "monthly_trend_interval": part.monthly_trend_interval,
        "repeat_sales": part.repeat_sales.model_dump(mode="json") if part.repeat_sales else None,
        "every_pair": {name: _every_pair(sales, with_jump=jump) for name, jump in _BOTH.items()},
        "months": [point.model_dump(mode="json", include=shown) for point in part.months],
    }


_BOTH = {"with_constant": True, "without_constant": False}


def _every_pair(sales: pl.DataFrame, *, with_jump: bool) -> dict[str, Any]:
    """All pairs of the file, none left out."""
    before = sales.sort("parcel_id", "sale_date").with_columns(
        first_price=pl.col("sale_price_usd").shift(1).over("parcel_id"),
        first_date=pl.col("sale_date").shift(1).over("parcel_id"),
    )
    pairs = before.filter(pl.col("first_price").is_not_null())
    found = repeat_sales_index(
        (pairs["first_price"].to_numpy(), pairs["sale_price_usd"].to_numpy()),
        (month_number(pairs["first_date"].to_numpy()), month_number(pairs["sale_date"].to_numpy())),
        with_jump=with_jump,
    )
    last = found.months[-1]
    return {
        "pairs": found.pairs,
        "jump_percent": found.jump_percent,
        "last_index": last.index,
        "interval": last.interval,
    }


def draw(study: MarketStudy, pictures: Path | None, name: str, known: KnownIndex | None) -> None:
    """The study's own chart as PNG."""
    chart = draw_indices(study, known=known)
    if pictures is not None and chart is not None:
        (pictures / name).write_bytes(vl_convert.svg_to_png(chart.decode(), scale=PICTURE_SCALE))


def _against(part: MarketSegment, planted: dict[date, float]) -> dict[str, Any]:
    base = planted[part.base_month] if part.base_month else 1.0
    held, misses = 0, []
    for point in part.months:
        if point.index is not None and point.interval is not None:
            truth = 100 * planted[point.month] / base
            held += point.interval[0] <= truth <= point.interval[1]
            misses.append(100 * abs(point.index / truth - 1))
    return {
        "segment": part.segment,
        "sales": part.sales,
        "monthly_trend_percent": part.monthly_trend_percent,
        "monthly_trend_interval": part.monthly_trend_interval,
        "worst_month_percent": max(misses, default=None),
        "months_held_by_their_interval": f"{held} of {len(misses)}",
        "season_p_value": part.seasonality.p_value if part.seasonality else None,
        "pairs": part.repeat_sales.pairs if part.repeat_sales else 0,
        "repeat_sales_monthly_percent": part.repeat_sales.monthly_trend_percent if part.repeat_sales else None,
        "neighborhoods": len(part.neighborhoods),
        "proposed_groups": len(part.regrouping.groups) if part.regrouping else 0,
    }


if __name__ == "__main__":
    main()
