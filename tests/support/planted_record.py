"""A county record with planted sales in the tables of ingest, for services that read its published views."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import polars as pl

from chassis.database import asyncpg_url
from chassis.streams import apply_streams
from tests.support.jobs import COUNTY, Office
from tests.support.planted_market import planted_sales

_PARCEL = (
    "parcel_id",
    "use_code",
    "neighborhood",
    "building_class",
    "condition",
    "living_area_sqft",
    "land_area_sqft",
    "bedrooms",
    "bathrooms",
    "stories",
    "longitude",
    "latitude",
    "land_value_usd",
    "improvement_value_usd",
    "total_value_usd",
)
_SALE = ("sale_id", "parcel_id", "sale_date", "sale_price_usd", "is_qualified", "parcel_count")


@asynccontextmanager
async def planted_office(database_url: str, nats_url: str) -> AsyncIterator[Office]:
    """Benton with 400 sales, and another county whose prices are a hundred times as high."""
    await apply_streams(nats_url)
    sales = planted_sales(count=400)
    await fill_record(database_url, COUNTY, sales)
    dear = sales.with_columns(sale_price_usd=sales["sale_price_usd"] * 100)
    await fill_record(database_url, "elsewhere", dear)
    async with Office.open(database_url, nats_url) as opened:
        yield opened


async def fill_record(url: str, county: str, sales: pl.DataFrame, *, tax_year: int = 2025) -> None:
    """Put the sold parcels and their sales into the record, and beside them parcels that have no value."""
    parcels = [(*row[:-1], _year(row[-1])) for row in sales.select(*_PARCEL, "year_built").iter_rows()]
    nothing = (None,) * 12
    parcels += [
        ("no-area", "11", "N1", *nothing, 1990),
        ("other", "71", "N1", *nothing, None),
    ]
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await connection.copy_records_to_table(
            "parcel",
            schema_name="ingest",
            columns=("county", "tax_year", "supplement", "pair", "is_current", "is_active", *_PARCEL, "year_built"),
            records=[(county, tax_year, 0, "pacs", True, True, *row) for row in parcels],
        )
        await connection.copy_records_to_table(
            "sale",
            schema_name="ingest",
            columns=("county", "pair", *_SALE),
            records=[(county, "pacs", *row) for row in sales.select(*_SALE).iter_rows()],
        )
        await connection.execute(
            "INSERT INTO ingest.parcel (county, parcel_id, tax_year, supplement, pair, is_current, is_active)"
            " VALUES ($1, 'closed', $2, 0, 'pacs', true, false)",
            county,
            tax_year,
        )
    finally:
        await connection.close()


def _year(value: float | None) -> int | None:
    return None if value is None else int(value)
