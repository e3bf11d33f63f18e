"""The digest of what a model saw is the same for the same, and another for anything else."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from services.valuation.domain.inputs import input_sha256
from services.valuation.domain.properties import UseCodes
from services.valuation.domain.sales import Sales, to_sales
from services.valuation.evidence import first_sale_date
from tests.support.planted_market import planted_sales


@pytest.fixture
def sold() -> Sales:
    return to_sales(planted_sales(count=40), UseCodes())


def test_the_same_has_the_same_digest(sold: Sales) -> None:
    again = to_sales(planted_sales(count=40), UseCodes())
    assert input_sha256(sold, sold.properties) == input_sha256(again, again.properties)


@pytest.mark.parametrize("what", ["price", "sale left out", "parcel", "neighborhood", "unknown area"])
def test_anything_else_has_another(sold: Sales, what: str) -> None:
    parcels = sold.properties
    other, others = sold, parcels
    if what == "price":
        other = replace(sold, price_usd=sold.price_usd + np.eye(1, len(sold))[0] * 0.01)
    elif what == "sale left out":
        other = sold.take(np.arange(1, len(sold)))
    elif what == "parcel":
        others = parcels.take(np.arange(len(parcels) - 1))
    elif what == "neighborhood":
        others = to_sales(planted_sales(count=40).with_columns(neighborhood=pl.lit("elsewhere")), UseCodes()).properties
    else:
        others = replace(parcels, living_area_sqft=np.full(len(parcels), np.nan))
    assert input_sha256(other, others) != input_sha256(sold, parcels)


def test_any_valuation_date_has_a_first_day_of_evidence() -> None:
    days = [date(1, 2, 3), date(4, 2, 29), date(2024, 2, 29), date(9999, 12, 31)]
    assert [first_sale_date(day).year for day in days] == [1, 1, 2019, 9994]
