"""The sales as points on a map (GeoJSON, RFC 7946): what was paid and when, nobody's name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from appraisal.sale_screening import ScreeningRules, screen_sales
from services.market.domain.mix import FloatArray
from services.market.domain.prices import area_basis, price_per_sqft_of_each, ratios
from services.market.domain.segments import Segment

_PLACES = 6  # decimals of a degree: about ten centimetres


def map_sales(sales: pl.DataFrame, *, rules: ScreeningRules, segments: Sequence[Segment]) -> dict[str, Any] | None:
    """The usable sales of the segments whose parcel has a place; None where none has.

    A sale in several segments stands once, in the first.
    """
    kept, _ = screen_sales(sales, rules)
    features: dict[str, dict[str, Any]] = {}
    for segment in segments:
        for feature in _features(segment.of(kept), segment.name):
            features.setdefault(feature["id"], feature)
    return {"type": "FeatureCollection", "features": list(features.values())} if features else None


def is_located(sales: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether each sale's parcel has a place on earth."""
    longitude, latitude = (_degrees(sales, name) for name in ("longitude", "latitude"))
    return (np.abs(longitude) <= 180) & (np.abs(latitude) <= 90)  # NaN is neither


def _degrees(sales: pl.DataFrame, name: str) -> FloatArray:
    if name not in sales.columns:
        return np.full(sales.height, np.nan)
    found: FloatArray = sales[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return found


def _features(sales: pl.DataFrame, segment: str) -> list[dict[str, Any]]:
    per_sqft = price_per_sqft_of_each(sales, area_basis(sales))
    columns = zip(
        sales.select("sale_id", "sale_date", "sale_price_usd", "neighborhood").iter_rows(),
        _degrees(sales, "longitude").tolist(),
        _degrees(sales, "latitude").tolist(),
        per_sqft.tolist(),
        ratios(sales).tolist(),
        is_located(sales).tolist(),
        strict=True,
    )
    return [
        {
            "type": "Feature",
            "id": sale_id,
            "geometry": {"type": "Point", "coordinates": [round(longitude, _PLACES), round(latitude, _PLACES)]},
            "properties": {
                "sale_id": sale_id,
                "sale_date": day.isoformat(),
                "sale_price_usd": round(price, 2),
                "price_per_sqft_usd": _rounded(area_price, 2),
                "ratio": _rounded(ratio, 4),
                "segment": segment,
                "neighborhood": neighborhood,
            },
        }
        for (sale_id, day, price, neighborhood), longitude, latitude, area_price, ratio, located in columns
        if located
    ]


def _rounded(value: float, decimals: int) -> float | None:
    return round(value, decimals) if np.isfinite(value) else None
