from typing import Any

import asyncpg
import pytest

from chassis.database import Database
from contracts.api.gis_export import GisExportParameters, GisExportSettings
from contracts.catalog import DATASETS
from services.gisexport import queries
from services.gisexport.domain.plan import ExportPlan, plan_export
from tests.integration.gisexport.conftest import COUNTY, EPSG


def plan(**parameters: Any) -> ExportPlan:
    asked = GisExportParameters.model_validate(parameters)
    return plan_export(asked, GisExportSettings(), county=COUNTY, county_crs=f"EPSG:{EPSG}")


async def read(database: Database, planned: ExportPlan, *, batch_rows: int = 1000) -> list[list[asyncpg.Record]]:
    async with database.read(COUNTY) as connection:
        return [batch async for batch in queries.read_records(connection, COUNTY, planned, batch_rows=batch_rows)]


async def read_ids(database: Database, **parameters: Any) -> list[str]:
    return [record["parcel_id"] for batch in await read(database, plan(**parameters)) for record in batch]


async def test_rows_come_in_batches_in_the_order_of_the_key(database: Database) -> None:
    batches = await read(database, plan(), batch_rows=40)
    assert [len(batch) for batch in batches] == [40, 40, 21]
    ids = [record["parcel_id"] for batch in batches for record in batch]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"parcel_id": "p0007"}, ["p0007"]),
        ({"parcel_id": ["p0007", "p0009", "'; DROP TABLE chassis.job; --"]}, ["p0007", "p0009"]),
        ({"year_built": {"min": 1998}}, ["p0098", "p0099"]),
        ({"year_built": {"max": 1901}}, ["p0001", "p0100"]),
        ({"total_value_usd": 3.25}, ["p0003"]),
        ({"total_value_usd": {"min": 3.26, "max": 5.25}, "use_code": "2020"}, ["p0005"]),
        ({"is_active": True, "parcel_id": {"min": "p0099"}}, ["p0099", "p0100"]),
        ({"longitude": {"max": -119.99985}}, ["p0001"]),
        ({"updated_at": {"max": "2026-01-01T00:00:02Z"}}, ["p0001", "p0002"]),
        ({"use_code": ["nothing"]}, []),
    ],
)
async def test_filters_select(database: Database, filters: dict[str, Any], expected: list[str]) -> None:
    assert await read_ids(database, filters=filters) == expected


async def test_box_takes_what_it_touches(database: Database) -> None:
    ids = await read_ids(database, bbox=[-119.99986, 45, -119.9997, 47])
    assert ids == ["p0001", "p0002", "p0003"]


async def test_sales_have_the_place_of_their_parcel(database: Database) -> None:
    [records] = await read(database, plan(layer="sales", filters={"is_qualified": True}))
    assert [(one["sale_id"], one["longitude"]) for one in records] == [("s1", -119.9999), ("s3", None)]
    [boxed] = await read(database, plan(layer="sales", bbox=[-121, 45, -119, 47]))
    assert [one["sale_id"] for one in boxed] == ["s1", "s2"]


@pytest.mark.parametrize("layer", ["parcels", "sales"])
async def test_every_catalogue_field_can_be_read(database: Database, layer: str) -> None:
    names = [field.name for field in DATASETS[layer].fields]
    [records] = await read(database, plan(layer=layer, fields=names))
    assert set(names) <= set(records[0].keys())


async def test_content_is_measured_before_it_is_read(database: Database) -> None:
    async with database.read(COUNTY) as connection:
        parcels = await queries.read_content(connection, COUNTY, plan(fields=["parcel_id", "attributes"]), epsg=EPSG)
        sales = await queries.read_content(connection, COUNTY, plan(layer="sales"), epsg=EPSG)
        other = await queries.read_content(connection, COUNTY, plan(), epsg=32610)
    assert (parcels.size.rows, parcels.size.geometry_bytes, parcels.rows_in_other_crs) == (101, 100 * 93, 0)
    assert parcels.size.text_bytes == {"parcel_id": 5, "attributes": len('{"n": 100}')}
    assert (sales.size.rows, sales.rows_in_other_crs) == (3, 0)
    assert other.rows_in_other_crs == 100
