"""When runs begin, wait and are left out; in place of the engine stands what it would have come to."""

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
import yaml

from chassis.database import Database
from chassis.errors import PermanentError, PostponedError, TransientError
from chassis.jobs import RunningJob
from chassis.middleware import RetryLaterError
from chassis.settings import REPOSITORY
from chassis.worker import Worker
from services.ingest import handlers
from services.ingest.handlers import router
from services.ingest.operation.breaker import FAILURES_ALLOWED
from services.ingest.operation.metrics import FOLLOWING, RUNS_SKIPPED
from services.ingest.operation.observing import observe
from services.ingest.settings import Settings
from tests.support.sync_jobs import SyncBench

COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"
POLL = f"schedule:poll-{PAIR}"
AWAY = TransientError("source_unavailable", "the source cannot be reached")


@pytest.fixture
def counties(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "deploy" / "counties" / COUNTY, tmp_path / COUNTY)
    return tmp_path


def say(counties: Path, **following: Any) -> None:
    path = counties / COUNTY / "mappings.yaml"
    content = yaml.safe_load(path.read_text())
    content["pairs"][0]["following"] = following
    path.write_text(yaml.safe_dump(content))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ingest(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service="ingest")
    await database.open()
    yield database
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(ingest: Database, counties: Path) -> SyncBench:
    async with ingest.begin(COUNTY) as unit:
        await unit.connection.execute("DELETE FROM ingest.sync_pair")
        await unit.connection.execute("DELETE FROM ingest.sync_table")
    return SyncBench(ingest, COUNTY, PAIR, counties_dir=counties)


class Engine:
    """Ends each run as it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.fault: Exception | None = None

    async def synchronize(self, job: RunningJob, *_: Any) -> None:
        self.runs += 1
        if self.fault is not None:
            raise self.fault
        async with job.completing({"done": True}):
            pass


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    standing_in = Engine()
    monkeypatch.setattr(handlers, "synchronize", standing_in.synchronize)
    return standing_in


async def run(bench: SyncBench, *, by: str = "ann", mode: str = "incremental", attempts: int = 1) -> dict[str, Any]:
    """A run in somebody's name, as far as it goes by itself."""
    requested = await bench.request(mode)
    async with bench.database.begin(COUNTY) as unit:
        await unit.connection.execute("UPDATE chassis.job SET requested_by = $2 WHERE id = $1", requested.job_id, by)
    worker = Worker(router.definitions[0], bench.tools, Settings(job_attempts=attempts))
    try:
        await worker.receive(requested)
    except RetryLaterError as wait:
        return {**await bench.job(requested.job_id), "wait_seconds": wait.wait_seconds, "requested": requested}
    return {**await bench.job(requested.job_id), "requested": requested}


async def resume(bench: SyncBench, waiting: dict[str, Any]) -> dict[str, Any]:
    """Start a job again that waits."""
    async with bench.database.begin(COUNTY) as unit:
        await unit.connection.execute("UPDATE chassis.job SET not_before = NULL WHERE id = $1", waiting["id"])
    worker = Worker(router.definitions[0], bench.tools, Settings(job_attempts=3))
    try:
        await worker.receive(waiting["requested"])
    except RetryLaterError as wait:
        return {**await bench.job(waiting["id"]), "wait_seconds": wait.wait_seconds}
    return await bench.job(waiting["id"])


def closed_now() -> dict[str, Any]:
    """Windows that open in some hours only."""
    local = datetime.now(ZoneInfo("America/Los_Angeles"))
    return {"windows": [{"start": f"{(local.hour + 4) % 24:02}:00", "end": f"{(local.hour + 5) % 24:02}:00"}]}


async def test_outside_its_window_a_scheduled_run_is_left_out_and_a_person_is_told(
    bench: SyncBench, counties: Path, engine: Engine
) -> None:
    say(counties, **closed_now())
    before = RUNS_SKIPPED.labels(COUNTY, PAIR, "window_closed")._value.get()
    scheduled = await run(bench, by=POLL)
    assert (scheduled["status"], scheduled["result"]) == (
        "succeeded",
        {"pair": PAIR, "skipped": "window_closed", "is_idle": True},
    )
    assert RUNS_SKIPPED.labels(COUNTY, PAIR, "window_closed")._value.get() == before + 1
    asked = await run(bench)
    assert (asked["status"], asked["error"]["code"]) == ("failed", "window_closed")
    opens_at = datetime.fromisoformat(asked["error"]["details"]["opens_at"])
    assert timedelta(hours=2.9) < opens_at - datetime.now(UTC) < timedelta(hours=5.1)
    assert engine.runs == 0
    steered = await run(bench, mode="pause")  # what does not read the source need not wait
    assert steered["error"]["code"] == "tables_not_loaded"


async def test_a_run_whose_window_closes_waits_and_goes_on_by_itself(
    bench: SyncBench, counties: Path, engine: Engine
) -> None:
    engine.fault = PostponedError("window_closed", "the source may not be read now", wait_seconds=3_600)
    waiting = await run(bench)
    assert (waiting["status"], waiting["failures"], waiting["wait_seconds"]) == ("queued", 0, 3_600)
    say(counties, **closed_now())
    still = await resume(bench, waiting)
    assert (still["status"], still["error"]["code"], still["failures"]) == ("queued", "window_closed", 0)
    assert still["wait_seconds"] > 2 * 3_600
    say(counties)
    engine.fault = None
    assert (await resume(bench, waiting))["status"] == "succeeded"
    assert engine.runs == 2


async def breaker(bench: SyncBench) -> tuple[int, datetime | None]:
    row = (await bench.fetch("SELECT failures, retry_at FROM ingest.sync_pair"))[0]
    return row["failures"], row["retry_at"]


async def test_a_source_that_fails_again_and_again_is_left_in_peace(bench: SyncBench, engine: Engine) -> None:
    engine.fault = AWAY
    for number in range(FAILURES_ALLOWED):
        assert (await run(bench, by=POLL))["error"]["code"] == "source_unavailable"
        assert (await breaker(bench))[0] == number + 1
    assert engine.runs == FAILURES_ALLOWED
    left_out = await run(bench, by=POLL)
    assert (left_out["status"], left_out["result"]["skipped"]) == ("succeeded", "source_resting")
    assert engine.runs == FAILURES_ALLOWED
    await observe(bench.database)
    families = {family.name: family for family in FOLLOWING.collect()}
    assert [sample.value for sample in families["terrafusion_sync_breaker_open"].samples] == [1.0]

    async with bench.database.begin(COUNTY) as unit:
        await unit.connection.execute("UPDATE ingest.sync_pair SET retry_at = now()")
    await run(bench, by=POLL)  # the probe
    failures, retry_at = await breaker(bench)
    assert (engine.runs, failures) == (FAILURES_ALLOWED + 1, FAILURES_ALLOWED + 1)
    assert retry_at is not None
    assert retry_at > datetime.now(UTC) + timedelta(seconds=100)  # twice the first pause, less its jitter

    engine.fault = None
    assert (await run(bench))["status"] == "succeeded"  # a person's run is a probe at any time
    assert await breaker(bench) == (0, None)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("status = 'paused'", "pair_paused"),
        ("status = 'held'", "approval_required"),
        ("lease_owner = 'x', lease_expires_at = now() + interval '1 minute'", "pair_busy"),
        ("lease_owner = 'x', lease_expires_at = now() - interval '1 minute'", None),
    ],
)
async def test_a_scheduled_run_is_no_bother_while_a_pair_is_in_other_hands(
    bench: SyncBench, engine: Engine, state: str, reason: str | None
) -> None:
    engine.fault = AWAY
    await run(bench)
    engine.fault = None
    async with bench.database.begin(COUNTY) as unit:
        await unit.connection.execute(f"UPDATE ingest.sync_pair SET {state}")
    scheduled = await run(bench, by=POLL)
    assert (scheduled["status"], scheduled["result"].get("skipped")) == ("succeeded", reason)
    assert engine.runs == (2 if reason is None else 1)
    await run(bench)  # a person's run hears of it from the engine
    assert engine.runs == (3 if reason is None else 2)


async def test_a_job_that_is_tried_again_waits_for_the_breaker(bench: SyncBench, engine: Engine) -> None:
    engine.fault = AWAY
    for _ in range(FAILURES_ALLOWED - 1):
        await run(bench)
    waiting = await run(bench, by=POLL, attempts=3)
    assert (waiting["status"], waiting["failures"]) == ("queued", 1)
    still = await resume(bench, waiting)
    assert (still["status"], still["error"]["code"], still["failures"]) == ("queued", "source_resting", 1)
    assert 50 < still["wait_seconds"] < 70
    assert engine.runs == FAILURES_ALLOWED


async def test_mistakes_that_are_not_the_sources_do_not_count(bench: SyncBench, engine: Engine) -> None:
    for fault in (PermanentError("source_not_configured", ""), PermanentError("mapping_invalid", ""), RuntimeError()):
        engine.fault = fault
        assert (await run(bench))["status"] == "failed"
    assert await bench.fetch("SELECT FROM ingest.sync_pair") == []


async def test_metrics_tell_how_far_behind_a_pair_and_its_tables_are(bench: SyncBench) -> None:
    async with bench.database.begin(COUNTY) as unit:
        for table, verified_minutes, token_minutes in (("sale", 5, None), ("owner", 90, 10), ("situs", None, 2)):
            await unit.connection.execute(
                "INSERT INTO ingest.sync_table (county, pair, source_table, reader, status, verified_through, token_at)"
                " VALUES ($1, $2, $3, 'rowversion', 'active', now() - $4::interval, now() - $5::interval)",
                COUNTY,
                PAIR,
                table,
                *(None if m is None else timedelta(minutes=m) for m in (verified_minutes, token_minutes)),
            )
    await observe(bench.database)
    families = {family.name: family for family in FOLLOWING.collect()}
    ages = {
        sample.labels["table"]: sample.value for sample in families["terrafusion_sync_blind_spot_age_seconds"].samples
    }
    assert ages.keys() == {"sale", "owner"}
    assert 300 <= ages["sale"] < 5_000 < ages["owner"]
    (lag,) = families["terrafusion_sync_lag_seconds"].samples
    assert lag.labels == {"county": COUNTY, "pair": PAIR}
    assert 600 <= lag.value < ages["owner"]
