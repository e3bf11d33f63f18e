"""A county's record beside PostGIS, and on the same server without it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
import shapely
from alembic import command
from psycopg import sql
from psycopg.rows import dict_row

from chassis import migrations
from chassis.database import Database
from services.ingest.synthetic.county import apply_changes
from tests.support import servers
from tests.support.postgis import postgis_programs, postgis_server
from tests.support.sync_jobs import SyncBench

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'geometry'")

COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"
SHAPES = "SELECT parcel_id, geometry_wkb, ST_Area(geometry) AS area FROM ingest.parcel WHERE geometry_wkb IS NOT NULL"
IN_BOX = "SELECT parcel_id FROM ingest.parcel WHERE geometry && ST_MakeEnvelope(%s, %s, %s, %s, %s)"
RECORD = "SELECT * FROM ingest.parcel_v1 ORDER BY county, parcel_id"


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.DatabaseServer]:
    """In this module the system's server stands for that of the wheels."""
    with postgis_server() as server:
        yield server


@pytest.fixture(scope="module")
def database_url(postgres: servers.DatabaseServer) -> Iterator[str]:
    """A database that had PostGIS before it was migrated."""
    with servers.database(postgres) as (_, url):
        execute(url, "CREATE EXTENSION postgis")
        migrations.upgrade(url)
        yield url


@pytest.fixture
def empty_database(postgres: servers.DatabaseServer) -> Iterator[str]:
    with servers.database(postgres) as (_, url):
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loaded(bench: SyncBench) -> SyncBench:
    job = await bench.run("full")
    assert job["status"] == "succeeded", job["error"]
    return bench


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(bench: SyncBench, postgres: servers.DatabaseServer) -> AsyncIterator[SyncBench]:
    """The same source followed by a database without the extension."""
    with servers.database(postgres) as (_, url):
        migrations.upgrade(url)
        database = Database(url, service="ingest")
        await database.open()
        yield SyncBench(database, COUNTY, PAIR, storage=bench.storage)
        await database.close()


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def rows(url: str, query: str, *parameters: Any, role: str | None = None) -> list[dict[str, Any]]:
    """What a query finds, for the owner of the database or for one who may become `role` and see one county."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            connection.execute("SELECT set_config('terrafusion.county', %s, false)", [COUNTY])
        return connection.execute(query.encode(), parameters or None).fetchall()


def keys(url: str, query: str, *parameters: Any, role: str | None = None) -> set[str]:
    return {row["parcel_id"] for row in rows(url, query, *parameters, role=role)}


def indexes_used(url: str, query: str, *parameters: Any, role: str | None = None) -> set[str]:
    """The indexes of a query's plan, where reading the whole table is out of the question."""
    options = "?options=-c%20enable_seqscan%3Doff%20-c%20jit%3Doff"
    found = rows(url + options, f"EXPLAIN (FORMAT JSON) {query}", *parameters, role=role)
    plan, used = [found[0]["QUERY PLAN"][0]["Plan"]], set()
    for node in plan:
        used |= {node["Index Name"]} if "Index Name" in node else set()
        plan += node.get("Plans", [])
    return used


def spatial_things(url: str) -> set[str]:
    """What of the record's columns and indexes only PostGIS can have brought."""
    query = (
        "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'ingest'"
        " AND udt_name = 'geometry' UNION SELECT indexname FROM pg_indexes WHERE schemaname = 'ingest'"
        " AND indexdef LIKE '%gist%'"
    )
    return {row["name"] for row in rows(url, query)}


def shapes(url: str) -> dict[str, tuple[Any, float]]:
    """Every parcel's shape as shapely reads it from the WKB, and the area that PostGIS finds."""
    return {row["parcel_id"]: (shapely.from_wkb(row["geometry_wkb"]), row["area"]) for row in rows(url, SHAPES)}


def middle_of(url: str) -> tuple[float, float, float, float]:
    """The inner box of the county, half as wide and half as high as all its parcels."""
    west, south, east, north = shapely.total_bounds([shape for shape, _ in shapes(url).values()])
    width, height = (east - west) / 4, (north - south) / 4
    return float(west + width), float(south + height), float(east - width), float(north - height)


def same_columns(record: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "updated_at"} for row in record]


async def test_every_shape_of_the_county_is_in_the_column(loaded: SyncBench, database_url: str, legacy: Any) -> None:
    found = rows(
        database_url,
        "SELECT count(*) FILTER (WHERE is_active) AS active, count(geometry) AS filled,"
        " count(*) FILTER (WHERE (geometry IS NULL) <> (geometry_wkb IS NULL)) AS differing,"
        " array_agg(DISTINCT ST_SRID(geometry)) FILTER (WHERE geometry IS NOT NULL) AS srids,"
        " bool_and(ST_IsValid(geometry)) AS valid FROM ingest.parcel",
    )[0]
    assert found["active"] >= legacy.truth.expected.clean_parcels
    assert found["filled"] >= legacy.truth.expected.clean_parcels
    assert (found["differing"], found["srids"], found["valid"]) == (0, [legacy.truth.srid], True)


async def test_areas_are_those_of_the_record(loaded: SyncBench, database_url: str) -> None:
    found = shapes(database_url)
    assert {key: area for key, (_, area) in found.items()} == pytest.approx(
        {key: shape.area for key, (shape, _) in found.items()}, rel=1e-9
    )
    assert min(area for _, area in found.values()) > 0


async def test_a_box_is_looked_up_in_the_index(loaded: SyncBench, database_url: str, legacy: Any) -> None:
    box = middle_of(database_url)
    boxes = {key: shapely.box(*shape.bounds) for key, (shape, _) in shapes(database_url).items()}
    inside = {key for key, bounds in boxes.items() if bounds.intersects(shapely.box(*box))}
    assert 0 < len(inside) < len(boxes)
    assert keys(database_url, IN_BOX, *box, legacy.truth.srid) == inside
    assert indexes_used(database_url, IN_BOX, *box, legacy.truth.srid) == {"parcel_geometry"}


async def test_under_row_level_security_the_index_waits_for_a_leakproof_operator(
    loaded: SyncBench, database_url: str, legacy: Any
) -> None:
    """PostgreSQL judges the county first, unless the county's administrator vouches for PostGIS's `&&`."""
    query, role = (IN_BOX, *middle_of(database_url), legacy.truth.srid), "terrafusion_ingest"
    found = keys(database_url, *query, role=role)
    assert "parcel_geometry" not in indexes_used(database_url, *query, role=role)
    execute(database_url, "ALTER FUNCTION geometry_overlaps(geometry, geometry) LEAKPROOF")
    try:
        assert indexes_used(database_url, *query, role=role) == {"parcel_geometry"}
        assert keys(database_url, *query, role=role) == found
        assert len(found) > 0
    finally:
        execute(database_url, "ALTER FUNCTION geometry_overlaps(geometry, geometry) NOT LEAKPROOF")


async def test_a_reader_draws_the_published_view_and_not_the_table(
    loaded: SyncBench, database_url: str, legacy: Any
) -> None:
    """A layer as QGIS asks for it, by a login that may only read and whose county is set once for it."""
    layer = "SELECT parcel_id, ST_GeomFromWKB(geometry_wkb, srid) AS shape FROM ingest.parcel_v1"
    seen = f"SELECT count(shape) AS shapes, min(ST_SRID(shape)) AS srid, sum(ST_Area(shape)) AS area FROM ({layer}) l"
    execute(
        database_url,
        "CREATE ROLE gis_login LOGIN IN ROLE terrafusion_reader",
        f"ALTER ROLE gis_login SET terrafusion.county = '{COUNTY}'",
        "CREATE ROLE stranger_login LOGIN IN ROLE terrafusion_reader",
        "ALTER ROLE stranger_login SET terrafusion.county = 'elsewhere'",
    )
    gis, stranger = (database_url.replace("//terrafusion@", f"//{login}@") for login in ("gis_login", "stranger_login"))
    expected = [area for _, area in shapes(database_url).values()]
    assert rows(gis, seen) == [
        {"shapes": len(expected), "srid": legacy.truth.srid, "area": pytest.approx(sum(expected))}
    ]
    assert rows(stranger, seen)[0]["shapes"] == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for table parcel"):
        rows(gis, "SELECT geometry FROM ingest.parcel")


async def test_without_the_extension_the_record_is_the_same(loaded: SyncBench, plain: SyncBench) -> None:
    assert spatial_things(loaded.database.url) == {"geometry", "parcel_geometry"}
    assert spatial_things(plain.database.url) == set()
    assert (await plain.run("full"))["status"] == "succeeded"
    records = [same_columns(await bench.fetch(RECORD)) for bench in (loaded, plain)]
    assert records[0] == records[1]
    assert len(records[0]) > 0
    assert await loaded.said() == await plain.said()


async def test_the_column_follows_what_changes(loaded: SyncBench, plain: SyncBench, legacy: Any) -> None:
    before = shapes(loaded.database.url)
    apply_changes(legacy.url, legacy.truth)
    for bench in (loaded, plain):
        job = await bench.run("incremental")
        assert job["status"] == "succeeded", job["error"]
    after = shapes(loaded.database.url)
    assert len(after.keys() - before.keys()) > 0
    assert any(before[key][1] > after[key][1] for key in before.keys() & after.keys())
    assert {k: area for k, (_, area) in after.items()} == pytest.approx({k: s.area for k, (s, _) in after.items()})
    records = [same_columns(await bench.fetch(RECORD)) for bench in (loaded, plain)]
    assert records[0] == records[1]


@pytest.mark.parametrize("extensions", [["postgis"], []], ids=["postgis", "plain"])
def test_the_schema_has_no_drift_and_goes_down_and_up_again(empty_database: str, extensions: list[str]) -> None:
    expected = {"geometry", "parcel_geometry"} if extensions else set()
    execute(empty_database, *(f"CREATE EXTENSION {name}" for name in extensions))
    config = migrations.alembic_config(empty_database)
    for _ in range(2):
        migrations.upgrade(empty_database)
        assert spatial_things(empty_database) == expected
        command.check(config)
        command.downgrade(config, "base")
        assert spatial_things(empty_database) == set()


def test_the_extension_may_live_in_a_schema_of_its_own(empty_database: str) -> None:
    execute(empty_database, 'CREATE SCHEMA "County GIS"', 'CREATE EXTENSION postgis SCHEMA "County GIS"')
    migrations.upgrade(empty_database)
    square = shapely.to_wkb(shapely.box(0, 0, 3, 2))
    saved = rows(
        empty_database,
        "INSERT INTO ingest.parcel (county, parcel_id, tax_year, supplement, pair, is_current, is_active, geometry_wkb,"
        " srid) VALUES (%s, '1', 2026, 0, %s, true, true, %s, 2927) RETURNING geometry::text AS shape",
        *(COUNTY, PAIR, square),
        role="terrafusion_ingest",
    )
    shape = shapely.from_wkb(saved[0]["shape"])
    assert (shape.area, shapely.get_srid(shape)) == (6.0, 2927)


def test_where_postgis_is_absent_a_test_is_skipped_with_the_remedy(tmp_path: Any) -> None:
    for version in ("9.6", "15", "16", "17"):
        (tmp_path / "lib" / version / "bin").mkdir(parents=True)
        (tmp_path / "lib" / version / "bin" / "postgres").touch()
        (tmp_path / "share" / version / "extension").mkdir(parents=True)
    with pytest.raises(pytest.skip.Exception, match="install postgresql-postgis"):
        postgis_programs(tmp_path / "lib", tmp_path / "share")
    for version in ("9.6", "15", "16"):
        (tmp_path / "share" / version / "extension" / "postgis.control").touch()
    assert postgis_programs(tmp_path / "lib", tmp_path / "share") == tmp_path / "lib" / "16" / "bin"
