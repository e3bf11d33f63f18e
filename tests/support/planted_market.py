"""Sales of a made-up county by a price process that is known, in the columns that the rooms read."""

from datetime import date, timedelta

import numpy as np
import polars as pl

LONGITUDE, LATITUDE = -119.2, 46.2
NEIGHBORHOODS = 8


def planted_sales(
    *,
    count: int = 600,
    seed: int = 1,
    monthly_percent: float = 0.6,
    noise: float = 0.10,
    first: date = date(2023, 1, 1),
    days: int = 730,
    mix_drift: float = 0.0,
) -> pl.DataFrame:
    """Qualified sales of houses; with `mix_drift` later sales are of smaller houses, which moves medians only."""
    draw = np.random.default_rng(seed)
    day = np.sort(draw.integers(0, days, count))
    area = np.exp(draw.normal(7.5, 0.30, count) - mix_drift * day / days).round()
    land = np.exp(draw.normal(9.0, 0.40, count)).round()
    built = draw.integers(1940, 2022, count)
    quality = draw.integers(3, 8, count)
    where = draw.integers(0, NEIGHBORHOODS, count)
    log_price = (
        12.6
        + 0.75 * (np.log(area) - 7.5)
        + 0.10 * (np.log(land) - 9.0)
        - 0.003 * (2025 - built)
        + 0.09 * (quality - 5)
        + np.linspace(-0.3, 0.3, NEIGHBORHOODS)[where]
        + np.log1p(monthly_percent / 100) * day / 30.4375
        + draw.normal(0, noise, count)
    )
    return pl.DataFrame(
        {
            "sale_id": [f"s{n:06d}" for n in range(count)],
            "parcel_id": [f"p{n:06d}" for n in range(count)],
            "sale_date": [first + timedelta(days=int(n)) for n in day],
            "sale_price_usd": np.exp(log_price).round(2),
            "is_qualified": [True] * count,
            "parcel_count": [1] * count,
            "use_code": ["11"] * count,
            "neighborhood": [f"N{n}" for n in where],
            "building_class": [str(n) for n in quality],
            "condition": draw.choice(["Average", "Good"], count).tolist(),
            "living_area_sqft": area,
            "land_area_sqft": land,
            "year_built": built.astype(float),
            "effective_year_built": np.full(count, np.nan),
            "bedrooms": draw.integers(2, 6, count).astype(float),
            "bathrooms": draw.integers(1, 4, count).astype(float),
            "stories": draw.integers(1, 3, count).astype(float),
            "longitude": LONGITUDE + 0.02 * (where % 4) + draw.uniform(0, 0.02, count),
            "latitude": LATITUDE + 0.02 * (where // 4) + draw.uniform(0, 0.02, count),
            "land_value_usd": np.full(count, 60_000.0),
            "improvement_value_usd": np.full(count, 240_000.0),
            "total_value_usd": np.full(count, 300_000.0),
        }
    )
