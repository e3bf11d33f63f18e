"""A login with SELECT only, audited at the source's own server: nothing is written there, whatever is asked."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import pytest_asyncio

from tests.support import servers
from tests.support.audited_source import AuditedServer, audited_server, why_it_writes
from tests.support.pacs_operations import (
    create_property_supplement_layer,
    create_supplement_group,
    make_inactive,
    recalculate,
)
from tests.support.pacs_record import assert_record_equals
from tests.support.pacs_source import PacsSource, pacs_source, reader_login
from tests.support.pair_benches import county_files, pair_bench
from tests.support.sync_jobs import SyncBench

COUNTY, PAIR = "benton", "benton_pacs"

WRITES = (
    "INSERT INTO dbo.situs (prop_id, situs_id) VALUES (1, 1)",
    "UPDATE dbo.property SET zoning = 'X'",
    "DELETE FROM dbo.sale",
    "TRUNCATE dbo.sale",
    "MERGE INTO dbo.sale s USING dbo.sale t ON false WHEN MATCHED THEN DELETE",
    "COPY dbo.sale FROM STDIN",
    "CREATE TABLE dbo.signal (id text)",
    "ALTER TABLE dbo.sale ADD COLUMN seen timestamp",
    "CREATE INDEX ON dbo.sale (sl_dt)",
    "DROP TABLE dbo.sale",
    "SELECT * FROM dbo.sale FOR UPDATE",
    "SELECT nextval('dbo.rowversion_counter')",
)
READS = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "COPY (SELECT \"update\", 'DELETE FROM x; DROP TABLE y' FROM dbo.sale) TO STDOUT (FORMAT csv)",
    "WITH p AS (SELECT 1) SELECT * FROM p -- and never INSERT",
    "SET LOCAL lock_timeout = 10000",
    "SELECT set_config('TimeZone', 'UTC', true), dbo.min_active_rowversion()",
    "SELECT has_table_privilege('dbo.sale', 'INSERT')",
    "",
)
DISGUISED = (
    ("SELECT 1; DELETE FROM dbo.sale", "DELETE"),
    ("WITH gone AS (DELETE FROM dbo.sale RETURNING *) SELECT * FROM gone", "DELETE"),
    ("SELECT * INTO dbo.copy FROM dbo.sale", "INTO"),
    ("SELECT setval('dbo.rowversion_counter', 1)", "setval"),
    ("SELECT pg_advisory_xact_lock(1)", "pg_advisory_xact_lock"),
    ("DO $$ BEGIN DELETE FROM dbo.sale; END $$", "DO"),
    ("COPY dbo.sale FROM '/tmp/x'", "COPY"),
    ("EXPLAIN ANALYZE DELETE FROM dbo.sale", "ANALYZE"),
    ("CREATE TEMP TABLE seen (id int)", "CREATE"),
)


@pytest.mark.parametrize("statement", READS)
def test_the_audit_lets_a_read_pass(statement: str) -> None:
    assert why_it_writes(statement) is None


@pytest.mark.parametrize(("statement", "word"), [*DISGUISED, *((text, None) for text in WRITES)])
def test_the_audit_knows_a_write_however_it_is_dressed(statement: str, word: str | None) -> None:
    assert why_it_writes(statement) == (word or why_it_writes(statement))
    assert why_it_writes(statement) is not None


@pytest.fixture(scope="module")
def server() -> Iterator[AuditedServer]:
    with audited_server() as server:
        yield server


@pytest.fixture(scope="module")
def source(server: AuditedServer) -> Iterator[PacsSource]:
    with pacs_source(server, parcels=300, seed=9) as source:
        yield source


@pytest.fixture(scope="module")
def login(source: PacsSource) -> Iterator[str]:
    with reader_login(source.url) as login:
        yield login


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["hash_diff", "auto"])
async def bench(
    request: pytest.FixtureRequest,
    login: str,
    postgres: servers.DatabaseServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[SyncBench]:
    counties = county_files(tmp_path_factory.mktemp("counties"), COUNTY, lambda pair: pair.update(reader=request.param))
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        async with pair_bench(
            database_url,
            county=COUNTY,
            pair=PAIR,
            source_url=login,
            folder=tmp_path_factory.mktemp("storage"),
            counties_dir=counties,
        ) as bench:
            yield bench


@pytest.mark.parametrize("statement", WRITES)
def test_the_login_is_refused_every_write(login: str, statement: str) -> None:
    with psycopg.connect(login) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_audit_sees_a_write_that_is_taken_back(server: AuditedServer, source: PacsSource) -> None:
    before = server.transactions_begun_to_write()
    with psycopg.connect(source.url) as connection:
        connection.execute("UPDATE dbo.pacs_system SET client_name = client_name")
        connection.rollback()
    assert server.transactions_begun_to_write() == before + 1
    assert "UPDATE" in {why_it_writes(statement) for statement in server.statements_of(source.url)[-10:]}


async def test_no_write_reaches_the_source(
    bench: SyncBench, server: AuditedServer, source: PacsSource, login: str
) -> None:
    """Loading, following changes, following nothing, reading everything again, verifying, and chosen rows."""
    start = len(server.statements_of(login))
    written: list[tuple[str, int]] = []

    async def run(mode: str, tables: list[str] | None = None) -> None:
        before, counts = server.transactions_begun_to_write(), _counts(source)
        job = await bench.run(mode, tables)
        assert job["status"] == "succeeded", (mode, job["error"])
        written.append((mode, server.transactions_begun_to_write() - before))
        assert _counts(source) == counts

    await run("full")
    changed = [row["prop_id"] for row in source.rows("SELECT prop_id FROM dbo.property ORDER BY prop_id LIMIT 3")]
    create_property_supplement_layer(source, changed[:2], create_supplement_group(source))
    make_inactive(source, changed[2])
    recalculate(source)
    for mode in ("incremental", "incremental", "full", "verify"):
        await run(mode)
    await run("snapshot", ["sale"])
    await assert_record_equals(bench, source)

    statements = server.statements_of(login)[start:]
    assert len(statements) > 50
    assert [text for text in statements if why_it_writes(text)] == []
    assert [mode for mode, transactions in written if transactions] == []


def _counts(source: PacsSource) -> list[tuple[object, ...]]:
    """Rows written to each table since the server began, and the tables that there are."""
    with psycopg.connect(source.url) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        return connection.execute(
            "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_all_tables"
            " WHERE schemaname NOT LIKE 'pg_toast%' ORDER BY schemaname, relname"
        ).fetchall()
