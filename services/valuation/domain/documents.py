"""Comparable sales as they are stored and answered."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np

from services.valuation.domain.comparables import Comparables
from services.valuation.domain.grid import WEIGHT_UNITS, Grid
from services.valuation.domain.location import meters_between
from services.valuation.domain.properties import NUMBERS, TEXTS, Properties
from services.valuation.domain.similarity import AS_UNLIKE, similarity_lost

ALWAYS_TOLD = frozenset({"location", "time"})


def comparable_sales(found: Comparables, subjects: Properties, grid: Grid) -> list[list[dict[str, Any]]]:
    """Each subject's comparables, best first, in the shape of `contracts.api.valuation.ComparableSale`.

    Names stand in their alphabetical order, so that equal comparables are equal texts. Lines of the grid without an
    adjustment are left out; location and time always stand.
    """
    lines, aspects = sorted(grid.lines), sorted(grid.aspects)
    similarity = np.exp(-grid.dissimilarity / AS_UNLIKE).round(4)
    lost = similarity_lost(grid.aspects, grid.dissimilarity)
    sold = found.sales
    columns = (
        grid.adjusted_cents / 100,
        grid.adjustment_cents[..., [grid.lines.index(name) for name in lines]] / 100,
        np.stack([grid.aspects[name].round(4) for name in aspects], axis=-1),
        meters_between(subjects, sold.properties, grid.row),
        sold.properties.parcel_id[grid.row],
        np.datetime_as_string(sold.sale_date[grid.row], unit="D"),
        sold.sale_id[grid.row],
        grid.price_cents / 100,
        similarity,
        np.stack([lost[name] for name in aspects], axis=-1),
        grid.weight_units / WEIGHT_UNITS,
    )
    by_subject = zip(*(column.tolist() for column in columns), strict=True)
    told = ([_comparable(sale, lines, aspects) for sale in zip(*of_one, strict=True)] for of_one in by_subject)
    return [[comparable for comparable in of_one if comparable["weight"] > 0] for of_one in told]


def _comparable(sale: tuple[Any, ...], lines: Sequence[str], aspects: Sequence[str]) -> dict[str, Any]:
    """One comparable sale of its columns, which stand in the order of their names."""
    adjusted, adjustments, unlike, distance, parcel_id, sale_date, sale_id, price, similarity, lost, weight = sale
    told = zip(lines, adjustments, strict=True)
    return {
        "adjusted_price_usd": adjusted,
        "adjustments_usd": {name: usd for name, usd in told if usd or name in ALWAYS_TOLD},
        "dissimilarity": {name: far for name, far in zip(aspects, unlike, strict=True) if far},
        "distance_meters": None if isnan(distance) else distance,
        "parcel_id": parcel_id,
        "sale_date": sale_date,
        "sale_id": sale_id,
        "sale_price_usd": price,
        "similarity": similarity,
        "similarity_lost": {name: share for name, share in zip(aspects, lost, strict=True) if share},
        "weight": weight,
    }


def in_name_order(document: Any) -> Any:
    """A document as JSON has it, with the names of all its parts in alphabetical order."""
    if isinstance(document, Mapping):
        return {name: in_name_order(part) for name, part in sorted(document.items())}
    return [in_name_order(part) for part in document] if isinstance(document, list) else document


def characteristics(properties: Properties, row: int) -> dict[str, str | float | None]:
    """What is known of one property, further attributes last."""
    numbers = {name: float(getattr(properties, name)[row]) for name in NUMBERS}
    further = {name: float(values[row]) for name, values in properties.attributes.items()}
    known, more = (
        {name: None if np.isnan(value) else value for name, value in of.items()} for of in (numbers, further)
    )
    texts = {name: getattr(properties, name)[row] or None for name in TEXTS}
    return {**texts, **known, **more, **{name: levels[row] or None for name, levels in properties.categories.items()}}
