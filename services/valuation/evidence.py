"""Reads what a valuation needs: the county's rules, its sales, and the date that everything is valued at."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import polars as pl

from appraisal.errors import AppraisalError
from appraisal.sale_screening import ScreeningRules, screen_sales
from chassis.database import Connection
from chassis.errors import PermanentError
from contracts.county import County
from services.valuation import queries
from services.valuation.domain.attributes import AttributeRules, Attributes, candidates, choose
from services.valuation.domain.properties import UseCodes
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales, to_sales

LOOKBACK_YEARS = 5
NOMINAL_PRICE_USD = 1_000.0


@dataclass(frozen=True)
class Evidence:
    """The usable sales of a county up to a date; `refused` counts the others by reason.

    `decisions` counts what persons had decided of them; `attributes` are those that models use.
    """

    tax_year: int
    valuation_date: date
    sold: Sales
    refused: dict[str, int]
    decisions: dict[str, int]
    attributes: Attributes


def use_codes(county: County) -> UseCodes:
    """The beginnings of the county's use codes by kind."""
    return UseCodes(residential=county.residential_use_codes, vacant_land=county.vacant_use_codes)


def attribute_rules(county: County) -> AttributeRules:
    """What the county says of attributes."""
    said = county.valuation
    return AttributeRules(ignored=said.ignore_attributes, used=said.use_attributes)


async def read_evidence(
    connection: Connection, county: County, *, tax_year: int | None = None, valuation_date: date | None = None
) -> Evidence:
    """Sales of the five years before the valuation date, by default 1 January of the tax year.

    Raises:
        PermanentError: `tax_year_unknown`, where nothing says it.
    """
    year, at = await valued_at(connection, county, tax_year=tax_year, valuation_date=valuation_date)
    first = first_sale_date(at)
    minimum = max(NOMINAL_PRICE_USD, county.sale_validity.minimum_price_usd)
    known = await queries.count_attributes(connection, county.county, from_date=first, to_date=at)
    looked_at = candidates(known, attribute_rules(county))
    frame = await queries.read_sales(
        connection, county.county, scrutiny=county.sale_scrutiny, from_date=first, attributes=looked_at.keys
    )
    rules = ScreeningRules(from_date=first, to_date=at, minimum_price_usd=minimum)
    kept, refused = screen_sales(frame, rules)
    attributes = await asyncio.to_thread(choose, looked_at, kept)
    sold = to_sales(attributes.typed(kept), use_codes(county), attributes)
    return Evidence(year, at, sold, refused, _count_decisions(frame), attributes)


def _count_decisions(frame: pl.DataFrame) -> dict[str, int]:
    decided = frame.filter(pl.col("decision").is_not_null()).group_by("decision").len().sort("decision")
    return dict(decided.iter_rows())


async def valued_at(
    connection: Connection, county: County, *, tax_year: int | None, valuation_date: date | None
) -> tuple[int, date]:
    """The tax year and the date that is valued at, as `read_evidence` takes them.

    Raises:
        PermanentError: `tax_year_unknown`.
    """
    year = tax_year or (valuation_date.year if valuation_date else None) or county.tax_year
    year = year or await queries.read_tax_year(connection, county.county)
    if year is None:
        raise PermanentError("tax_year_unknown", f"{county.county} has no parcels and its file names no tax year")
    return year, valuation_date or date(year, 1, 1)


def first_sale_date(valuation_date: date) -> date:
    """The first day whose sales are evidence of value at a date."""
    year = max(valuation_date.year - LOOKBACK_YEARS, date.min.year)
    return date(year, valuation_date.month, min(valuation_date.day, 28))


@contextmanager
def coded_refusals() -> Iterator[None]:
    """Let a refusal of the domain be one of the service, with its code and counts."""
    try:
        yield
    except ValuationRefusedError as error:
        raise PermanentError(error.code, str(error), details=error.details) from error
    except AppraisalError as error:
        raise PermanentError(error.code, str(error)) from error
