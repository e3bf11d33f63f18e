"""Comparable sales as they are stored and answered."""

from typing import Any

import numpy as np

from services.valuation.domain.comparables import Comparables
from services.valuation.domain.grid import WEIGHT_UNITS, Grid
from services.valuation.domain.location import meters_between
from services.valuation.domain.properties import NUMBERS, TEXTS, Properties
from services.valuation.domain.similarity import AS_UNLIKE, similarity_lost


def comparable_sales(found: Comparables, subjects: Properties, grid: Grid) -> list[list[dict[str, Any]]]:
    """Each subject's comparables, best first, in the shape of `contracts.api.valuation.ComparableSale`.

    Lines of the grid without an adjustment are left out; location and time always stand.
    """
    similarity = np.exp(-grid.dissimilarity / AS_UNLIKE).round(4).tolist()
    lost = similarity_lost(grid.aspects, grid.dissimilarity)
    distance = meters_between(subjects, found.sales.properties, grid.row)
    aspects = {name: values.round(4).tolist() for name, values in grid.aspects.items()}
    return [
        [
            {
                **_sale(found, int(grid.row[subject, at])),
                **_adjustments(grid, subject, at),
                "weight": int(grid.weight_units[subject, at]) / WEIGHT_UNITS,
                "similarity": similarity[subject][at],
                "similarity_lost": {
                    name: float(values[subject, at]) for name, values in lost.items() if values[subject, at]
                },
                "dissimilarity": {name: values[subject][at] for name, values in aspects.items() if values[subject][at]},
                "distance_meters": None if np.isnan(distance[subject, at]) else float(distance[subject, at]),
            }
            for at in range(grid.row.shape[1])
            if grid.weight_units[subject, at] > 0
        ]
        for subject in range(len(subjects))
    ]


def characteristics(properties: Properties, row: int) -> dict[str, str | float | None]:
    """What is known of one property, further attributes last."""
    numbers = {name: float(getattr(properties, name)[row]) for name in NUMBERS}
    further = {name: float(values[row]) for name, values in properties.attributes.items()}
    known, more = (
        {name: None if np.isnan(value) else value for name, value in of.items()} for of in (numbers, further)
    )
    texts = {name: getattr(properties, name)[row] or None for name in TEXTS}
    return {**texts, **known, **more, **{name: levels[row] or None for name, levels in properties.categories.items()}}


def _sale(found: Comparables, row: int) -> dict[str, Any]:
    return {
        "sale_id": found.sales.sale_id[row],
        "parcel_id": found.sales.properties.parcel_id[row],
        "sale_date": str(found.sales.sale_date[row].astype("datetime64[D]")),
    }


def _adjustments(grid: Grid, subject: int, at: int) -> dict[str, Any]:
    lines = zip(grid.lines, grid.adjustment_cents[subject, at].tolist(), strict=True)
    always = {"location", "time"}
    return {
        "sale_price_usd": int(grid.price_cents[subject, at]) / 100,
        "adjustments_usd": {name: cents / 100 for name, cents in lines if cents or name in always},
        "adjusted_price_usd": int(grid.adjusted_cents[subject, at]) / 100,
    }
