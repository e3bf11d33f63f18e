"""Reads what a valuation needs: the county's rules, its sales, and the date that everything is valued at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from appraisal.errors import AppraisalError
from appraisal.sale_screening import ScreeningRules, screen_sales
from chassis.database import Connection
from chassis.errors import PermanentError
from contracts.county import County
from services.valuation import queries
from services.valuation.domain.properties import UseCodes
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales, to_sales

LOOKBACK_YEARS = 5
NOMINAL_PRICE_USD = 1_000.0


@dataclass(frozen=True)
class Evidence:
    """The usable sales of a county up to a date; `refused` counts the others by reason."""

    tax_year: int
    valuation_date: date
    sold: Sales
    refused: dict[str, int]


def use_codes(county: County) -> UseCodes:
    """The beginnings of the county's use codes by kind."""
    return UseCodes(residential=county.residential_use_codes, vacant_land=county.vacant_use_codes)


async def read_evidence(
    connection: Connection, county: County, *, tax_year: int | None = None, valuation_date: date | None = None
) -> Evidence:
    """Sales of the five years before the valuation date, by default 1 January of the tax year.

    Raises:
        PermanentError: `tax_year_unknown`, where nothing says it.
    """
    year = tax_year or (valuation_date.year if valuation_date else None) or county.tax_year
    year = year or await queries.read_tax_year(connection, county.county)
    if year is None:
        raise PermanentError("tax_year_unknown", f"{county.county} has no parcels and its file names no tax year")
    at = valuation_date or date(year, 1, 1)
    first = date(at.year - LOOKBACK_YEARS, at.month, min(at.day, 28))
    minimum = max(NOMINAL_PRICE_USD, county.sale_validity.minimum_price_usd)
    frame = await queries.read_sales(connection, county.county, from_date=first)
    rules = ScreeningRules(from_date=first, to_date=at, minimum_price_usd=minimum)
    kept, refused = screen_sales(frame, rules)
    return Evidence(year, at, to_sales(kept, use_codes(county)), refused)


@contextmanager
def coded_refusals() -> Iterator[None]:
    """Let a refusal of the domain be one of the service, with its code and counts."""
    try:
        yield
    except ValuationRefusedError as error:
        raise PermanentError(error.code, str(error), details=error.details) from error
    except AppraisalError as error:
        raise PermanentError(error.code, str(error)) from error
