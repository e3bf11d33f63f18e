"""Schedules: a due time gives rise to one job, whoever looks and whatever dies."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
import yaml

from chassis import schedules
from chassis.database import Database
from chassis.declared_schedules import Files, declare, declared
from chassis.errors import ConflictError, NotFoundError, PermanentError
from chassis.outbox import derived_id
from chassis.schedules import fire_all
from contracts.events.jobs import JobRequested
from contracts.schedules import Schedule
from tests.support.jobs import COUNTY, Office
from tests.support.processes import REPOSITORY
from tests.support.waiting import eventually

PACIFIC = "America/Los_Angeles"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relay(database_url: str) -> AsyncIterator[Database]:
    """The scheduler's role; what it writes stays in the outbox."""
    database = Database(database_url, service="relay")
    await database.open()
    yield database
    await database.close()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def forget(relay: Database) -> None:
    """No schedule, job or command of the test before."""
    async with relay.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE NONE")
        await connection.execute("SET LOCAL terrafusion.county = '*'")
        await connection.execute("DELETE FROM chassis.schedule")
        await connection.execute("DELETE FROM chassis.job")
        await connection.execute("DELETE FROM chassis.outbox")


def daily(name: str = "study", **changes: Any) -> Schedule:
    """A market study at three in the morning."""
    return Schedule.model_validate({"name": name, "kind": "market", "cron": "0 3 * * *", **changes})


async def create(database: Database, schedule: Schedule, county: str = COUNTY) -> None:
    async with database.begin(county) as unit:
        await schedules.create(unit.connection, county, schedule, time_zone=PACIFIC, by="ann")


async def overdue(relay: Database, name: str = "study", *, ago: timedelta = timedelta(seconds=5)) -> datetime:
    """Let a schedule be due since a while; returns since when."""
    due = datetime.now(UTC).replace(microsecond=0) - ago
    async with relay.begin("*") as unit:
        await unit.connection.execute("UPDATE chassis.schedule SET next_due_at = $1 WHERE name = $2", due, name)
    return due


async def stored(relay: Database, name: str = "study", county: str = COUNTY) -> asyncpg.Record:
    async with relay.read(county) as connection:
        row = await schedules.queries.read_schedule(connection, county, name)
    assert row is not None
    return row


async def jobs(relay: Database) -> list[asyncpg.Record]:
    async with relay.read("*") as connection:
        return list(await connection.fetch("SELECT * FROM chassis.job ORDER BY created_at, id"))


async def commands(relay: Database) -> list[JobRequested]:
    async with relay.read("*") as connection:
        rows = await connection.fetch("SELECT body FROM chassis.outbox ORDER BY position")
    return [JobRequested.model_validate_json(row["body"]) for row in rows]


async def end_jobs(relay: Database) -> None:
    async with relay.begin("*") as unit:
        await unit.connection.execute("UPDATE chassis.job SET status = 'succeeded', finished_at = now()")


async def test_a_due_schedule_asks_for_its_job(relay: Database, office: Office) -> None:
    await create(office.database, daily(priority="low"))
    assert await fire_all(relay) == 0  # three in the morning is never in the past
    due = await overdue(relay)
    assert await fire_all(relay) == 1
    (job,) = await jobs(relay)
    (command,) = await commands(relay)
    row = await stored(relay)
    assert job["id"] == command.job_id == row["last_job_id"] == derived_id(row["id"], due.isoformat())
    assert (job["requested_by"], job["priority"], job["status"]) == ("schedule:study", "low", "queued")
    assert job["idempotency_key"] == f"{row['id']}:{due.isoformat()}"
    assert command.subject == "job.market.requested.benton"
    assert row["last_due_at"] == due
    assert row["next_due_at"].astimezone(ZoneInfo(PACIFIC)).hour == 3
    assert await fire_all(relay) == 0


async def test_a_time_that_was_fired_fires_no_second_job(relay: Database, office: Office) -> None:
    await create(office.database, daily())
    due = await overdue(relay)
    assert await fire_all(relay) == 1
    await end_jobs(relay)
    async with relay.begin("*") as unit:  # as after a restore of the schedules alone
        await unit.connection.execute("UPDATE chassis.schedule SET next_due_at = $1", due)
    await fire_all(relay)
    assert len(await jobs(relay)) == len(await commands(relay)) == 1


@contextlib.asynccontextmanager
async def scheduler(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A scheduler's process that is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.scheduler_process",
        url,
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        cwd=REPOSITORY,
    )
    try:
        assert await said(process) == "ready"
        yield process
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


def go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def test_two_processes_fire_each_schedule_once(relay: Database, office: Office, database_url: str) -> None:
    count = 120
    for number in range(count):
        await create(office.database, daily(f"study{number}"))
    async with relay.begin("*") as unit:
        await unit.connection.execute("UPDATE chassis.schedule SET next_due_at = now() - interval '5 seconds'")
    async with scheduler(database_url) as one, scheduler(database_url) as other:
        go(one)
        go(other)
        fired = [int(await said(process)) for process in (one, other)]
    assert sum(fired) == count
    assert len({job["requested_by"] for job in await jobs(relay)}) == len(await jobs(relay)) == count
    assert len({command.job_id for command in await commands(relay)}) == len(await commands(relay)) == count


async def test_a_scheduler_that_dies_before_its_commit_leaves_the_time_to_another(
    relay: Database, office: Office, database_url: str
) -> None:
    await create(office.database, daily())
    due = await overdue(relay)
    async with scheduler(database_url, "stop") as doomed:
        go(doomed)
        assert await said(doomed) == "written"
        assert await fire_all(relay) == 0  # it is in other hands
        os.kill(doomed.pid, signal.SIGKILL)
        await doomed.wait()

    async def fired() -> int:
        return await fire_all(relay)

    assert await eventually(fired, "the server has noticed the death") == 1
    (job,) = await jobs(relay)
    assert job["id"] == derived_id((await stored(relay))["id"], due.isoformat())
    assert [command.job_id for command in await commands(relay)] == [job["id"]]


async def test_after_a_downtime_one_job_stands_for_all_missed_times(relay: Database, office: Office) -> None:
    await create(office.database, daily(cron=None, every_seconds=1))
    due = await overdue(relay, ago=timedelta(days=3))
    assert await fire_all(relay) == 1
    row = await stored(relay)
    assert row["last_due_at"] == due
    assert row["next_due_at"] > datetime.now(UTC) - timedelta(seconds=30)
    assert len(await jobs(relay)) == 1


async def test_missed_times_are_left_out_where_the_schedule_says_so(relay: Database, office: Office) -> None:
    await create(office.database, daily(catch_up="skip"))
    await overdue(relay, ago=timedelta(hours=2))
    assert await fire_all(relay) == 0
    row = await stored(relay)
    assert (row["skips"], row["last_job_id"]) == (1, None)
    assert row["next_due_at"] > datetime.now(UTC)
    await overdue(relay, ago=timedelta(seconds=20))  # late is not missed
    assert await fire_all(relay) == 1


async def test_jobs_do_not_pile_up(relay: Database, office: Office) -> None:
    await create(office.database, daily())
    await overdue(relay, ago=timedelta(seconds=9))
    assert await fire_all(relay) == 1
    await overdue(relay, ago=timedelta(seconds=6))
    assert await fire_all(relay) == 0
    assert (await stored(relay))["skips"] == 1
    await end_jobs(relay)
    await overdue(relay, ago=timedelta(seconds=3))
    assert await fire_all(relay) == 1
    assert len(await jobs(relay)) == 2


async def test_a_paused_schedule_rests_and_goes_on_from_now(relay: Database, office: Office) -> None:
    await create(office.database, daily())
    async with office.database.begin(COUNTY) as unit:
        row = await schedules.pause(unit.connection, COUNTY, "study", by="ann")
    assert (row["is_paused"], row["paused_by"]) == (True, "ann")
    await overdue(relay, ago=timedelta(hours=1))
    assert await fire_all(relay) == 0
    async with office.database.begin(COUNTY) as unit:
        row = await schedules.resume(unit.connection, COUNTY, "study")
    assert row["next_due_at"] > datetime.now(UTC)
    assert (row["is_paused"], row["paused_by"]) == (False, None)
    assert await fire_all(relay) == 0


async def test_what_makes_no_sense_is_refused(relay: Database, office: Office) -> None:
    await create(office.database, daily())
    refused: list[tuple[Schedule, type[Exception], str]] = [
        (daily(), ConflictError, "schedule_exists"),
        (daily("other", cron="61 * * * *"), PermanentError, "cron_invalid"),
        (daily("other", parameters={"no_such": 1}), PermanentError, "parameters_invalid"),
    ]
    for schedule, kind, code in refused:
        with pytest.raises(kind) as caught:
            await create(office.database, schedule)
        assert caught.value.code == code  # type: ignore[attr-defined]
    with pytest.raises(NotFoundError):
        async with office.database.begin(COUNTY) as unit:
            await schedules.delete(unit.connection, COUNTY, "nobody")
    async with office.database.begin(COUNTY) as unit:
        await schedules.delete(unit.connection, COUNTY, "study")
        assert await schedules.queries.list_schedules(unit.connection, COUNTY) == []


async def test_a_county_sees_its_own_schedules_only(relay: Database, office: Office) -> None:
    await create(office.database, daily())
    async with office.database.read("yakima") as connection:
        assert await schedules.queries.list_schedules(connection, COUNTY) == []


async def test_a_schedule_that_went_bad_rests_and_the_others_go_on(relay: Database, office: Office) -> None:
    await create(office.database, daily("bad"))
    await create(office.database, daily("good"))
    async with relay.begin("*") as unit:
        await unit.connection.execute("UPDATE chassis.schedule SET cron = 'nonsense' WHERE name = 'bad'")
    await overdue(relay, "bad", ago=timedelta(seconds=9))
    await overdue(relay, "good")
    assert await fire_all(relay) == 1
    assert (await stored(relay, "bad"))["paused_by"] == "scheduler"


@pytest.fixture
def counties(tmp_path: Path) -> Iterator[Path]:
    """A county folder of this test's own."""
    source = REPOSITORY / "deploy" / "counties" / "synthetic_wa"
    folder = tmp_path / "synthetic_wa"
    folder.mkdir()
    for name in ("county.yaml", "mappings.yaml"):
        (folder / name).write_text((source / name).read_text())
    return tmp_path


def edit(counties: Path, name: str, **changes: Any) -> None:
    """Change keys of a file; `following` belongs to its first pair."""
    path = counties / "synthetic_wa" / name
    content = yaml.safe_load(path.read_text())
    target = content["pairs"][0] if name == "mappings.yaml" else content
    target.update(changes)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(yaml.safe_dump(content))
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))


STUDY = {"name": "study", "kind": "market", "cron": "0 3 * * SUN"}


async def test_county_files_declare_schedules(relay: Database, counties: Path) -> None:
    county = "synthetic_wa"
    pair = yaml.safe_load((counties / county / "mappings.yaml").read_text())["pairs"][0]["pair"]
    files = Files(relay, counties)
    edit(counties, "county.yaml", schedules=[STUDY])
    edit(counties, "mappings.yaml", following={"poll_every_seconds": 5})
    await files.look()
    poll = await stored(relay, f"poll-{pair}", county)
    assert (poll["kind"], poll["parameters"]) == ("sync", {"pair": pair, "mode": "incremental"})
    assert (poll["origin"], poll["every_seconds"]) == ("mappings", 5)
    study = await stored(relay, "study", county)
    assert (study["origin"], study["time_zone"]) == ("county_file", PACIFIC)

    async with relay.begin(county) as unit:
        await schedules.pause(unit.connection, county, "study", by="ann")
        with pytest.raises(ConflictError, match="stands in a file"):
            await schedules.delete(unit.connection, county, "study")
    edit(counties, "county.yaml", schedules=[{**STUDY, "cron": "0 4 * * SUN"}])
    edit(counties, "mappings.yaml", following={})
    await files.look()
    changed = await stored(relay, "study", county)
    assert changed["next_due_at"] == study["next_due_at"] + timedelta(hours=1)
    assert (changed["is_paused"], changed["id"]) == (True, study["id"])
    async with relay.read(county) as connection:
        assert [row["name"] for row in await schedules.queries.list_schedules(connection, county)] == ["study"]


async def test_a_persons_schedule_stays_and_follows_the_countys_time_zone(relay: Database, counties: Path) -> None:
    county = "synthetic_wa"
    await create(relay, daily(), county)
    before = await stored(relay, county=county)
    edit(counties, "county.yaml", time_zone="America/New_York")
    await Files(relay, counties).look()
    after = await stored(relay, county=county)
    assert (after["origin"], after["created_by"], after["time_zone"]) == ("api", "ann", "America/New_York")
    assert abs(after["next_due_at"] - before["next_due_at"]) in {timedelta(hours=3), timedelta(hours=21)}


@pytest.mark.parametrize(
    "schedule",
    [{**STUDY, "cron": "61 * * * *"}, {**STUDY, "parameters": {"no_such": 1}}, {**STUDY, "every_seconds": 4}],
)
async def test_a_file_that_makes_no_sense_changes_nothing(
    relay: Database, counties: Path, schedule: dict[str, Any]
) -> None:
    county = "synthetic_wa"
    files = Files(relay, counties)
    edit(counties, "county.yaml", schedules=[STUDY])
    await files.look()
    before = await stored(relay, "study", county)
    edit(counties, "county.yaml", schedules=[schedule, {**STUDY, "name": "second"}])
    await files.look()
    assert await stored(relay, "study", county) == before
    with pytest.raises(PermanentError):
        declared(counties, county, datetime.now(UTC))


async def test_declaring_twice_changes_nothing(relay: Database, counties: Path) -> None:
    county = "synthetic_wa"
    edit(counties, "county.yaml", schedules=[STUDY])
    rows = []
    for _ in range(2):
        async with relay.begin(county) as unit:
            await declare(unit, counties, county)
        rows.append(await stored(relay, "study", county))
    assert rows[0] == rows[1]
