"""A county record as the published views promise it, for a service that reads nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
import shapely

from chassis.database import Database, asyncpg_url
from chassis.jobs import RunningJob, Tools
from chassis.storage import Storage
from contracts.subjects import JobKind

COUNTY = "demo"
EPSG = 2927

# The columns that ingest publishes; the real views are replaced so that rows can be put in directly.
RECORD = """
DROP VIEW IF EXISTS ingest.parcel_v1 CASCADE;
DROP VIEW IF EXISTS ingest.sale_v1 CASCADE;
CREATE TABLE ingest.parcel_v1 (
    county text, parcel_id text, parcel_number text, tax_year int, supplement int, is_active bool,
    property_type text, use_code text, neighborhood text, zoning text, situs_address text, situs_city text,
    situs_zip text, legal_description text,
    land_value_usd numeric(14,2), improvement_value_usd numeric(14,2), total_value_usd numeric(14,2),
    market_value_usd numeric(14,2), taxable_value_usd numeric(14,2), prior_total_value_usd numeric(14,2),
    cost_approach_value_usd numeric(14,2), income_approach_value_usd numeric(14,2),
    market_approach_value_usd numeric(14,2), last_sale_date date, last_sale_price_usd numeric(14,2),
    year_built int, effective_year_built int, living_area_sqft float8, land_area_sqft float8, bedrooms float8,
    bathrooms float8, stories float8, building_class text, condition text, attributes jsonb,
    longitude float8, latitude float8, geometry_wkb bytea, srid int,
    west float8, south float8, east float8, north float8, updated_at timestamptz
);
CREATE TABLE ingest.sale_v1 (
    county text, sale_id text, parcel_id text, sale_date date, sale_price_usd numeric(14,2),
    adjusted_price_usd numeric(14,2), deed_type text, validity_code text, is_qualified bool, parcel_count int,
    recorded_date date, living_area_sqft float8, land_area_sqft float8, year_built int, updated_at timestamptz
);
GRANT SELECT ON ingest.parcel_v1, ingest.sale_v1 TO terrafusion_reader;
INSERT INTO ingest.sale_v1 (county, sale_id, parcel_id, sale_date, sale_price_usd, is_qualified, updated_at) VALUES
    ('demo', 's1', 'p0001', '2024-05-01', 350000.25, true, now()),
    ('demo', 's2', 'p0002', '2023-05-01', 1, false, now()),
    ('demo', 's3', 'gone', '2024-06-01', 400000, true, now()),
    ('elsewhere', 's1', 'p0001', '2024-05-01', 1, true, now());
"""
PARCELS = """
INSERT INTO ingest.parcel_v1 (county, parcel_id, use_code, year_built, total_value_usd, is_active, attributes,
    longitude, latitude, geometry_wkb, srid, west, south, east, north, updated_at)
SELECT $1, 'p' || to_char(n, 'FM0000'), CASE WHEN n % 2 = 0 THEN '1010' ELSE '2020' END, 1900 + n % 100,
    n + 0.25, true, jsonb_build_object('n', n), -120 + n * 0.0001, 46, $2, $3,
    -120 + n * 0.0001, 46, -120 + n * 0.0001 + 0.00005, 46.0001, timestamptz '2026-01-01Z' + n * interval '1 s'
FROM generate_series(1, $4::int) AS n
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(database_url: str) -> str:
    """100 parcels with geometry, one without, three sales, and another county's parcels beside them."""
    square = bytes(shapely.to_wkb(shapely.box(1_640_000, 300_000, 1_640_100, 300_100)))
    connection = await asyncpg.connect(asyncpg_url(database_url))
    try:
        await connection.execute(RECORD)
        await connection.execute(PARCELS, COUNTY, square, EPSG, 100)
        await connection.execute(PARCELS, "elsewhere", square, EPSG, 5)
        await connection.execute("INSERT INTO ingest.parcel_v1 (county, parcel_id) VALUES ('demo', 'bare')")
    finally:
        await connection.close()
    return database_url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(record: str) -> AsyncIterator[Database]:
    opened = Database(record, service="gisexport")
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(record: str) -> AsyncIterator[Database]:
    """The database as the gateway sees it, the one service that may enter jobs."""
    opened = Database(record, service="gateway")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def counties(tmp_path: Path) -> Path:
    folder = tmp_path / "counties" / COUNTY
    folder.mkdir(parents=True)
    (folder / "county.yaml").write_text(
        f"county: {COUNTY}\nname: Demo County\nstate: WA\nepsg: {EPSG}\ntime_zone: America/Los_Angeles\n"
        "sale_validity: {qualified_codes: ['00']}\n"
        "gis_export: {formats: [gpkg, geojson, shapefile, csv]}\n"
    )
    return folder.parent


@pytest_asyncio.fixture(loop_scope="session")
async def job(database: Database, gateway: Database, counties: Path, tmp_path: Path) -> RunningJob:
    """A job that a worker has just claimed."""
    job_id = uuid4()
    tools = Tools(database, Storage(f"file://{tmp_path}/storage"), counties, "gisexport")
    await insert_job(gateway, job_id, status="running", attempt=1)
    return RunningJob(
        tools=tools,
        id=job_id,
        county=COUNTY,
        kind=JobKind.GIS_EXPORT,
        attempt=1,
        requested_by="tests",
        deadline=None,
    )


async def insert_job(
    gateway: Database, job_id: UUID, *, status: str, attempt: int, parameters: dict[str, Any] | None = None
) -> asyncpg.Record:
    """Enter a job as the gateway does; returns its row."""
    async with gateway.begin(COUNTY) as unit:
        row = await unit.connection.fetchrow(
            "INSERT INTO chassis.job (county, id, kind, status, attempt, parameters, request_digest, requested_by)"
            " VALUES ($1, $2, 'gis_export', $3, $4, $5, '', 'tests') RETURNING *",
            COUNTY,
            job_id,
            status,
            attempt,
            parameters or {},
        )
    assert row is not None
    return row
