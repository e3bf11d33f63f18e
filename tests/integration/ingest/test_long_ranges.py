"""A range of hundreds of thousands of rows, as a file is: its keys are asked by a hash and not one against another."""

from chassis.database import Database
from services.ingest.landing import queries
from tests.support import servers

ROWS = 500_000
ASKED = "EXPLAIN SELECT FROM ingest.source_row t WHERE t.county = 'x' AND t.pair = 'x' AND t.source_table = 'x' AND "


async def test_keys_that_did_not_come_are_found_by_a_hash(postgres: servers.DatabaseServer, database_url: str) -> None:
    database = Database(database_url, service="ingest")
    await database.open()
    try:
        async with database.begin("benton") as unit:
            await queries.create_incoming(unit.connection)
            await unit.connection.execute(
                "INSERT INTO incoming (verdict, key) SELECT 'a', 'key ' || n FROM generate_series(1, $1) n", ROWS
            )
            await queries.index_incoming(unit.connection, rows=ROWS)
            plan = await unit.connection.fetch(ASKED + queries.NOT_INCOMING)
    finally:
        await database.close()
    assert "hashed SubPlan" in "\n".join(row[0] for row in plan)
