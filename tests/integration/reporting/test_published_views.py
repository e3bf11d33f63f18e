"""The room's SQL against the views that the other rooms publish, as the migrations make them."""

from uuid import UUID

import pytest

from chassis.database import Database
from contracts.api.reporting import AbstractOfValuesArguments, RatioStudyArguments
from contracts.county import SaleScrutiny
from services.reporting import queries
from services.reporting.domain.abstract_report import PARCEL_COLUMNS
from services.reporting.domain.sales import SALE_COLUMNS
from tests.support.reading import STAND_INS


async def test_every_query_runs_against_the_published_views(database_url: str) -> None:
    database = Database(database_url, service="reporting")
    await database.open()
    try:
        async with database.read("benton") as connection:
            missing = [view for view in STAND_INS if not await connection.fetchval("SELECT to_regclass($1)", view)]
            if missing:
                pytest.skip(f"not published yet: {missing}")
            sales = await queries.read_sales(
                connection, "benton", RatioStudyArguments(use_codes=("11",)), scrutiny=SaleScrutiny()
            )
            parcels = await queries.read_parcels(connection, "benton", AbstractOfValuesArguments())
            latest = await queries.read_latest_values(connection, "benton")
            named = await queries.read_run_values(connection, "benton", UUID(int=1))
            watermark = await queries.read_watermark(connection, "benton")
    finally:
        await database.close()
    assert sales.columns == list(SALE_COLUMNS)
    assert parcels.columns == list(PARCEL_COLUMNS)
    assert (sales.height, parcels.height, latest, named) == (0, 0, {}, {})
    assert watermark["parcels"] == watermark["sales"] == 0
    assert watermark["changed_at"] is None


async def test_the_stand_ins_have_the_columns_of_the_published_views(database_url: str) -> None:
    database = Database(database_url, service="reporting")
    await database.open()
    try:
        async with database.pool.acquire() as connection:
            for view, stand_in in STAND_INS.items():
                rows = await connection.fetch(
                    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0", view
                )
                if not rows:
                    pytest.skip(f"not published yet: {view}")
                columns = {column.split()[0] for column in stand_in.replace("(14,2)", "").split(",")}
                assert columns <= {row["attname"] for row in rows}, view
    finally:
        await database.close()
