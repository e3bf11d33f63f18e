"""Who decides whether a sale counts: price and date, a person, the county's code, statistics."""

from datetime import date

import polars as pl
import pytest

from appraisal.sale_screening import ScreeningRules, screen_sales

RULES = ScreeningRules(from_date=date(2020, 1, 1), to_date=date(2024, 1, 1))
ODD = "price_too_low"


def outcome(**values: object) -> str | None:
    """Why a sale with these values is refused, or None."""
    sale = {
        "sale_id": "s1",
        "sale_date": date(2022, 1, 1),
        "sale_price_usd": 250_000.0,
        "is_qualified": True,
        "parcel_count": 1,
        "decision": None,
        "statistics_reason": None,
        **values,
    }
    schema = {"decision": pl.String, "statistics_reason": pl.String}
    kept, refused = screen_sales(pl.DataFrame([sale], schema_overrides=schema), RULES)
    assert kept.height + sum(refused.values()) == 1
    return next(iter(refused), None)


@pytest.mark.parametrize(
    ("is_qualified", "decision", "statistics", "reason"),
    [
        (True, None, None, None),
        (True, None, ODD, ODD),
        (True, "needs_more", ODD, ODD),
        (True, "valid", ODD, None),
        (True, "invalid", None, "invalid_by_review"),
        (False, None, None, "not_qualified"),
        (None, None, ODD, "not_qualified"),
        (False, "needs_more", None, "not_qualified"),
        (False, "valid", ODD, None),
        (False, "invalid", ODD, "invalid_by_review"),
    ],
)
def test_a_person_stands_above_the_code_and_the_code_above_statistics(
    *, is_qualified: bool | None, decision: str | None, statistics: str | None, reason: str | None
) -> None:
    assert outcome(is_qualified=is_qualified, decision=decision, statistics_reason=statistics) == reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"sale_price_usd": 1.0}, "nominal_price"),
        ({"parcel_count": 2}, "several_parcels"),
        ({"sale_date": date(2024, 1, 2)}, "after_period"),
    ],
)
def test_nobody_makes_a_price_of_one_parcel_of_what_is_none(values: dict[str, object], reason: str) -> None:
    assert outcome(decision="valid", **values) == reason


def test_sales_of_a_file_without_codes_count() -> None:
    sales = pl.DataFrame({"sale_id": ["a"], "sale_date": [date(2022, 1, 1)], "sale_price_usd": [9_000.0]})
    assert screen_sales(sales, RULES)[1] == {}
