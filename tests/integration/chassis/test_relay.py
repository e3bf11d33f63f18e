"""The sweeper and the reconciler: what a crash or the bus has lost is sent again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import BaseModel

from chassis import queries
from chassis import relay as relay_module
from chassis.database import Database
from chassis.jobs import JobRouter, RunningJob
from chassis.outbox import new_id
from chassis.relay import BATCH, forget_idle, reconcile, sweep
from contracts.events.jobs import JobProgressed
from tests.support.jobs import COUNTY, Office, running, settings_for

NOW = timedelta(0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relay(database_url: str) -> AsyncIterator[Database]:
    """The relay's role, without a publisher: nothing leaves but by the sweeper."""
    database = Database(database_url, service="relay")
    await database.open()
    yield database
    await database.close()


async def leave_behind(relay: Database, county: str, count: int) -> UUID:
    """Events of one job that a crash left in the outbox."""
    job_id = new_id()
    async with relay.begin(county) as unit:
        for number in range(count):
            event = JobProgressed(
                county=county,
                occurred_at=datetime.now(UTC),
                job_id=job_id,
                kind="market",
                attempt=1,
                done=number,
                unit="steps",
            )
            await unit.publish(event)
    return job_id


async def numbers(office: Office, job_id: UUID) -> list[int]:
    found = await office.messages("JOBS", "job.market.progressed.*")
    return [
        JobProgressed.model_validate_json(m.data).done
        for m in found
        if (m.headers or {}).get("ce-subject") == str(job_id)
    ]


async def test_the_sweeper_sends_what_was_left_in_order(relay: Database, office: Office) -> None:
    job_id = await leave_behind(relay, COUNTY, 40)
    assert await sweep(relay, office.sender, older_than=timedelta(minutes=1)) == 0
    assert await sweep(relay, office.sender, older_than=NOW) == 40
    assert await numbers(office, job_id) == list(range(40))
    await office.outbox_is_empty()
    assert await sweep(relay, office.sender, older_than=NOW) == 0


async def test_two_sweepers_at_once_lose_nothing_and_double_nothing(relay: Database, office: Office) -> None:
    counts = {"benton": BATCH + 20, "yakima": BATCH}
    jobs = {county: await leave_behind(relay, county, count) for county, count in counts.items()}

    async def sweep_all() -> list[int]:
        sizes = []
        while size := await sweep(relay, office.sender, older_than=NOW):
            sizes.append(size)
        return sizes

    sizes = await asyncio.gather(sweep_all(), sweep_all())
    assert sum(map(sum, sizes)) == sum(counts.values())
    for county, job_id in jobs.items():
        assert sorted(await numbers(office, job_id)) == list(range(counts[county]))
    await office.outbox_is_empty()


async def test_what_the_publisher_had_sent_already_is_not_doubled(relay: Database, office: Office) -> None:
    job_id = await leave_behind(relay, COUNTY, 3)
    async with relay.read("*") as connection:
        messages = await connection.fetch("SELECT subject, headers, body FROM chassis.outbox ORDER BY position")
    for message in messages:  # a publisher that died before it could forget them
        await office.jetstream.publish(message["subject"], message["body"].encode(), headers=message["headers"])
    assert await sweep(relay, office.sender, older_than=NOW) == 3
    assert await numbers(office, job_id) == [0, 1, 2]


async def test_an_event_that_the_bus_refuses_does_not_hold_up_the_others(relay: Database, office: Office) -> None:
    async with relay.begin(COUNTY) as unit:
        await unit.connection.execute(
            "INSERT INTO chassis.outbox (id, county, subject, headers, body)"
            " VALUES (gen_random_uuid(), 'benton', 'nobody.keeps.this.benton', '{}', '{}')"
        )
    job_id = await leave_behind(relay, COUNTY, 2)
    try:
        await sweep(relay, office.sender, older_than=NOW)
    except TimeoutError as error:
        assert "1 events wait" in str(error)  # noqa: PT017 the sweep itself must have gone on
    else:
        raise AssertionError("a refused event went unnoticed")
    assert await numbers(office, job_id) == [0, 1]
    async with relay.begin(COUNTY) as unit:
        waiting, lag_seconds = await queries.outbox_lag(unit.connection)
        assert (waiting, lag_seconds >= 0) == (1, True)
        await unit.connection.execute("DELETE FROM chassis.outbox")


router = JobRouter()


class Nothing(BaseModel):
    """No parameters."""


@router.job("market", parameters=Nothing)
async def study(job: RunningJob, parameters: Nothing) -> None:
    """Do nothing and succeed."""
    async with job.completing({}):
        pass


async def test_a_job_whose_message_the_bus_lost_is_published_again_and_ends_once(
    relay: Database, office: Office, storage_url: str
) -> None:
    job_id = await office.submit()
    await office.outbox_is_empty()
    await office.jetstream.purge_stream("JOBS")
    async with running(router, settings_for(office, storage_url)):
        assert await reconcile(relay, silence=timedelta(minutes=1)) == 0
        await grow_old(office, job_id)
        assert await reconcile(relay, silence=timedelta(minutes=1)) == 1
        assert await reconcile(relay, silence=timedelta(minutes=1)) == 0
        await sweep(relay, office.sender, older_than=NOW)
        job = await office.ended(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    await office.outbox_is_empty()
    assert await office.facts(job_id) == ["requested", "started", "succeeded"]


async def test_the_reconciler_leaves_alone_what_waits_runs_or_has_ended(relay: Database, office: Office) -> None:
    waits_in_the_outbox = await office.submit(publish=False)
    async with relay.begin(COUNTY) as unit:
        row = await queries.read_job(unit.connection, COUNTY, waits_in_the_outbox)
        assert row is not None
        await unit.connection.execute(
            "INSERT INTO chassis.outbox (id, county, subject, headers, body) VALUES ($1, 'benton', 'x', '{}', '')",
            waits_in_the_outbox,
        )
    beats, ended, retries = [await office.submit(publish=False) for _ in range(3)]
    for job_id in (waits_in_the_outbox, beats, ended, retries):
        await grow_old(office, job_id)
    changes = {
        beats: "status = 'running', heartbeat_at = now()",
        ended: "status = 'failed', finished_at = now()",
        retries: "not_before = now() + interval '1 hour'",
    }
    async with relay.begin(COUNTY) as unit:
        for job_id, change in changes.items():
            await unit.connection.execute(f"UPDATE chassis.job SET {change} WHERE id = $1", job_id)
    assert await reconcile(relay, silence=timedelta(minutes=1)) == 0
    async with relay.begin(COUNTY) as unit:
        await unit.connection.execute("DELETE FROM chassis.outbox")
        await unit.connection.execute("UPDATE chassis.job SET finished_at = now(), status = 'failed'")


async def test_a_silent_running_job_is_published_again(relay: Database, office: Office) -> None:
    silent, cancelling = [await office.submit(publish=False) for _ in range(2)]
    async with relay.begin(COUNTY) as unit:
        await unit.connection.execute(
            "UPDATE chassis.job SET status = 'running', attempt = 1, published_at = now() - interval '1 hour',"
            " heartbeat_at = now() - interval '2 minutes' WHERE id = $1",
            silent,
        )
        await unit.connection.execute(
            "UPDATE chassis.job SET status = 'cancelling', attempt = 1, published_at = now() - interval '1 hour'"
            " WHERE id = $1",
            cancelling,
        )
    assert await reconcile(relay, silence=timedelta(minutes=1)) == 2


async def grow_old(office: Office, job_id: UUID) -> None:
    async with office.database.begin(COUNTY) as unit:
        await unit.connection.execute(
            "UPDATE chassis.job SET published_at = now() - interval '1 hour' WHERE id = $1", job_id
        )


POLL, LONG_AGO = "schedule:poll", timedelta(days=4)
IDLE: dict[str, Any] = {"requested_by": POLL, "age": LONG_AGO, "result": {"is_idle": True}}
KEPT: list[dict[str, Any]] = [
    IDLE | {"age": timedelta(days=2)},
    IDLE | {"requested_by": "somebody"},
    IDLE | {"result": {"is_idle": False}},
    IDLE | {"result": {"changes": 0}},
    IDLE | {"status": "failed"},
    IDLE | {"artifacts": [{"name": "a.txt"}]},
    IDLE | {"is_last": True},
]


async def test_scheduled_jobs_that_nothing_came_of_are_forgotten_after_days(
    relay: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "IDLE_BATCH", 2)
    kept = [await ended_job(office, **job) for job in KEPT]
    forgotten = [await ended_job(office, **IDLE, county=county) for county in ("benton", "yakima", "benton")]
    assert await forget_idle(relay, older_than=timedelta(days=3)) == len(forgotten)
    there = set(await office.fetchval("SELECT array_agg(id) FROM chassis.job"))
    assert (there & {*kept, *forgotten}) == set(kept)
    assert await forget_idle(relay, older_than=timedelta(days=3)) == 0


async def ended_job(
    office: Office, *, requested_by: str, age: timedelta, result: dict[str, Any], status: str = "succeeded",
    artifacts: Sequence[dict[str, Any]] = (), is_last: bool = False, county: str = COUNTY,
) -> UUID:  # fmt: skip
    """A job that ended so long ago, and whether its schedule has had none since."""
    job_id = await office.submit(county=county, publish=False)
    async with office.database.begin(county) as unit:
        await unit.connection.execute(
            "UPDATE chassis.job SET requested_by = $2, finished_at = now() - $3::interval, result = $4, status = $5,"
            " artifacts = $6 WHERE id = $1",
            job_id, requested_by, age, result, status, list(artifacts),
        )  # fmt: skip
        if is_last:
            await unit.connection.execute(
                "INSERT INTO chassis.schedule (county, name, id, origin, kind, parameters, time_zone, last_job_id,"
                " is_paused, created_by) VALUES ($1, 'poll', $2, 'api', 'market', '{}', 'UTC', $2, true, 'tester')",
                county, job_id,
            )  # fmt: skip
    return job_id
