"""Sales, parcels and context that the tests of reports are made from."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from services.reporting.domain.abstract_report import PARCEL_COLUMNS
from services.reporting.domain.document import ReportContext
from services.reporting.domain.sales import SALE_COLUMNS


def sale(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One usable sale of ratio 0.9, with what a test wants otherwise."""
    return {
        "sale_id": f"S{number}",
        "parcel_id": f"P{number}",
        "parcel_number": f"P{number}",
        "situs_address": f"{number} MAIN ST",
        "use_code": "11",
        "neighborhood": "N1",
        "year_built": 1980,
        "sale_date": date(2024, 1, 1) + timedelta(days=number % 366),
        "sale_price_usd": 400_000.0,
        "adjusted_price_usd": None,
        "is_qualified": True,
        "validity_code": "Q",
        "parcel_count": 1,
        "decision": None,
        "statistics_reason": None,
        "estimate_usd": 360_000.0,
        **changes,
    }


def sales_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SALE_COLUMNS)


def random_sales(count: int, *, seed: int = 7) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    prices = np.exp(random.normal(12.9, 0.4, count)).round(-2)
    estimates = (prices * random.normal(0.95, 0.1, count).clip(0.4, 1.6)).round(-2)
    return sales_frame(
        [
            sale(
                number,
                sale_price_usd=float(prices[number]),
                estimate_usd=float(estimates[number]),
                neighborhood=f"N{number % 4}",
                year_built=1900 + number % 125,
            )
            for number in range(count)
        ]
    )


def parcels_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PARCEL_COLUMNS)


def context_of(**changes: Any) -> ReportContext:
    facts: dict[str, Any] = {
        "county_name": "Benton County",
        "state": "WA",
        "office": "Office of the Assessor",
        "generated_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "definition_hash": "ab" * 32,
        "watermark": (("Parcels in the record", "75,123"),),
    }
    return ReportContext(**{**facts, **changes})
