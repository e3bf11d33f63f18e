"""The unit of work: rows and events all or nothing; and what row-level security lets through."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from nats.aio.msg import Msg

from chassis.database import Database
from chassis.errors import PermanentError
from chassis.relay import BATCH
from contracts.events.jobs import JobProgressed, JobStarted
from tests.support.jobs import COUNTY, Office
from tests.support.waiting import eventually

MAKERS_OF_JOBS = {"gateway", "relay", "ingest"}
"""Who asks for people, who keeps schedules, and who hears signals on the bus."""


def started(county: str = COUNTY) -> JobStarted:
    return JobStarted(county=county, occurred_at=datetime.now(UTC), job_id=uuid4(), kind="market", attempt=1)


async def is_on_the_bus(office: Office, event: JobStarted) -> bool:
    return "started" in await office.facts(event.job_id)


async def test_rows_and_events_leave_together_after_the_commit(office: Office) -> None:
    event = started()
    async with office.database.begin(COUNTY) as unit:
        await unit.first_delivery(consumer="together", event_id="1")
        await unit.publish(event)
        await office.client.flush()
        assert not await is_on_the_bus(office, event)

    await eventually(lambda: is_on_the_bus(office, event), "the event is on the bus")
    assert await office.fetchval("SELECT count(*) FROM chassis.inbox WHERE consumer = 'together'") == 1
    await office.outbox_is_empty()


@pytest.mark.parametrize("trouble", [RuntimeError("no"), asyncio.CancelledError()])
async def test_a_failed_unit_leaves_nothing(office: Office, trouble: BaseException) -> None:
    event = started()

    async def fail() -> None:
        async with office.database.begin(COUNTY) as unit:
            await unit.first_delivery(consumer="nothing", event_id="1")
            await unit.publish(event)
            raise trouble

    with pytest.raises(type(trouble)):
        await fail()
    assert await office.fetchval("SELECT count(*) FROM chassis.inbox WHERE consumer = 'nothing'") == 0
    await office.outbox_is_empty()
    assert not await is_on_the_bus(office, event)


async def test_a_unit_whose_failed_statement_was_caught_does_not_look_committed(office: Office) -> None:
    async def catch() -> None:
        async with office.database.begin(COUNTY) as unit:
            await unit.first_delivery(consumer="caught", event_id="1")
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await unit.connection.execute("SELECT 1 / 0")

    with pytest.raises(RuntimeError, match="rolled back"):
        await catch()
    assert await office.fetchval("SELECT count(*) FROM chassis.inbox WHERE consumer = 'caught'") == 0


async def test_an_event_said_twice_is_on_the_bus_once(office: Office) -> None:
    event, event_id = started(), str(uuid4())
    for _ in range(2):
        async with office.database.begin(COUNTY) as unit:
            await unit.publish(event, event_id=event_id)
        await office.outbox_is_empty()
    assert await office.facts(event.job_id) == ["started"]


async def test_the_inbox_knows_a_delivery_again(office: Office) -> None:
    async with office.database.begin(COUNTY) as unit:
        assert await unit.first_delivery(consumer="inbox", event_id="e1")
        assert not await unit.first_delivery(consumer="inbox", event_id="e1")
        assert await unit.first_delivery(consumer="other", event_id="e1")
    async with office.database.begin(COUNTY) as unit:
        assert not await unit.first_delivery(consumer="inbox", event_id="e1")
    async with office.database.begin("yakima") as unit:
        assert await unit.first_delivery(consumer="inbox", event_id="e1")


async def test_what_leaves_is_a_cloud_event(office: Office) -> None:
    event = started()
    async with office.database.begin(COUNTY) as unit:
        await unit.publish(event)
    await eventually(lambda: is_on_the_bus(office, event), "the event is on the bus")
    (message,) = [m for m in await office.messages("JOBS") if (m.headers or {}).get("ce-subject") == str(event.job_id)]
    headers = message.headers or {}
    assert message.subject == "job.market.started.benton"
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "job.market.started"
    assert headers["ce-source"] == "/terrafusion/gateway"
    assert headers["Nats-Msg-Id"] == headers["ce-id"]
    assert headers["content-type"] == "application/json"
    assert datetime.fromisoformat(headers["ce-time"]) == event.occurred_at
    assert headers["traceparent"].count("-") == 3
    assert JobStarted.model_validate_json(message.data) == event


async def test_the_bare_subject_works_too(office: Office) -> None:
    heard = await office.client.subscribe("job.market.started")
    await office.client.flush()
    event = started()
    async with office.database.begin(COUNTY) as unit:
        await unit.publish(event)

    async def look() -> Msg:
        return await heard.next_msg(timeout=5)

    message = await look()
    assert str(event.job_id).encode() in message.data
    assert (message.headers or {})["Nats-Subject"] == "job.market.started.benton"
    await heard.unsubscribe()


async def test_another_county_sees_nothing_and_no_county_sees_nothing(office: Office) -> None:
    await office.submit(publish=False)
    query = "SELECT count(*) FROM chassis.job"
    async with office.database.read(COUNTY) as connection:
        assert await connection.fetchval(query) > 0
    async with office.database.read("yakima") as connection:
        assert await connection.fetchval(query) == 0
    async with office.database.pool.acquire() as connection:
        assert await connection.fetchval(query) == 0


async def test_a_unit_of_one_county_cannot_write_anothers_rows(office: Office) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with office.database.begin(COUNTY) as unit:
            await unit.publish(started("yakima"))
    job_id = await office.submit(publish=False)
    async with office.database.begin("yakima") as unit:
        changed = await unit.connection.execute("UPDATE chassis.job SET status = 'failed' WHERE id = $1", job_id)
    assert changed == "UPDATE 0"


async def test_the_county_does_not_outlive_its_transaction(office: Office) -> None:
    async with office.database.pool.acquire() as connection:
        await connection.execute("BEGIN; SET LOCAL terrafusion.county = 'benton'")
        await connection.execute("COMMIT")
        assert await connection.fetchval("SELECT count(*) FROM chassis.job") == 0


@pytest.mark.parametrize("county", ["", "Benton", "benton'; DROP TABLE chassis.job; --", "benton\n", "b"])
async def test_what_is_no_county_name_is_refused(office: Office, county: str) -> None:
    with pytest.raises(PermanentError) as refusal:
        async with office.database.begin(county):
            pass
    assert refusal.value.code == "county_invalid"


async def test_reading_is_one_picture_and_writes_nothing(office: Office) -> None:
    async with office.database.read(COUNTY) as connection:
        before = await connection.fetchval("SELECT count(*) FROM chassis.job")
        await office.submit(publish=False)
        assert await connection.fetchval("SELECT count(*) FROM chassis.job") == before
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("DELETE FROM chassis.inbox")


@pytest.fixture(params=["gateway", "ingest", "valuation", "market", "reporting", "gisexport", "relay"])
async def role(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service=request.param, pool_size=1)
    await database.open()
    yield database
    await database.close()


async def test_a_service_writes_its_own_schema_only(role: Database, office: Office) -> None:
    tables = await tables_of_others(role)
    assert "chassis.job" in tables
    async with role.pool.acquire() as connection:
        for name, column in tables.items():
            changes = [f"TRUNCATE {name}", f"ALTER TABLE {name} ADD COLUMN x int", f"DROP TABLE {name}"]
            if not name.startswith("chassis."):
                changes += [f"INSERT INTO {name} DEFAULT VALUES", f"DELETE FROM {name}"]
                changes += [f"UPDATE {name} SET {column} = DEFAULT"]
            for change in changes:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(change)
        for schema in {name.partition(".")[0] for name in tables} | {"public"}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"CREATE TABLE {schema}.intruder (id int)")


async def tables_of_others(role: Database) -> dict[str, str]:
    """Every table that is not the service's own, with one of its columns."""
    async with role.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT format('%I.%I', n.nspname, c.relname) AS name, format('%I', a.attname) AS column"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1"
            " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'public')"
            " AND n.nspname NOT LIKE 'pg_%' AND n.nspname <> $1",
            role.service,
        )
    return {row["name"]: row["column"] for row in rows}


async def test_only_who_is_asked_or_keeps_time_makes_jobs(role: Database, office: Office) -> None:
    values = "('benton', gen_random_uuid(), 'market', '{}', 'x', 'x')"
    statement = "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by) VALUES " + values
    if role.service in MAKERS_OF_JOBS:
        async with role.begin(COUNTY) as unit:
            assert await unit.connection.execute(statement) == "INSERT 0 1"
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with role.begin(COUNTY) as unit:
            await unit.connection.execute(statement)


async def test_every_table_keeps_its_rows_to_the_county(office: Office) -> None:
    query = (
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        " AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'county')"
        " AND n.nspname IN ('chassis', 'gateway', 'ingest', 'valuation', 'market', 'reporting', 'gisexport')"
    )
    async with office.database.read("*") as connection:
        open_tables = [row["name"] for row in await connection.fetch(query)]
    assert open_tables == []


async def test_units_leave_in_their_order_however_large_they_are(office: Office) -> None:
    job_id, sizes = uuid4(), [1, 3, BATCH * 2 + 5, 1, 40, 1]
    number = 0
    for size in sizes:
        async with office.database.begin(COUNTY) as unit:
            for _ in range(size):
                event = JobProgressed(
                    county=COUNTY,
                    occurred_at=datetime.now(UTC),
                    job_id=job_id,
                    kind="market",
                    attempt=1,
                    done=number,
                    unit="steps",
                )
                await unit.publish(event)
                number += 1
    await office.outbox_is_empty()
    found = await office.messages("JOBS", "job.market.progressed.benton")
    done = [JobProgressed.model_validate_json(message.data).done for message in found]
    assert done == list(range(sum(sizes)))
