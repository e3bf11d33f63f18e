"""A window that closes in the middle of a run: what is read stays, and the same job goes on when it opens."""

from datetime import UTC, datetime, time
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chassis.jobs import RunningJob
from chassis.middleware import RetryLaterError
from chassis.worker import Worker
from contracts.following import Following, Window
from services.ingest import reading
from services.ingest.handlers import router
from services.ingest.operation.pace import Pace
from services.ingest.settings import Settings
from tests.support.sync_jobs import SyncBench

#: the night in which clocks in Washington are set back, from eight to five, nine hours and one
NIGHT = Following(windows=(Window(start=time(20), end=time(5)),))
LAST_SECOND = datetime(2026, 11, 1, 12, 59, 59, tzinfo=UTC)
CLOSED = datetime(2026, 11, 1, 13, 0, 0, tzinfo=UTC)
BATCHES = 20


class Closing:
    """Shows the last second of the night for some batches, then the morning."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> datetime:
        self.looks += 1
        return LAST_SECOND if self.looks < BATCHES else CLOSED


def rows_read() -> dict[str, float]:
    return {
        sample.labels["table"]: sample.value
        for family in REGISTRY.collect()
        if family.name == "terrafusion_sync_rows_read"
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def test_the_run_waits_for_the_window_and_reads_nothing_twice(
    bench: SyncBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = Closing()

    def pace_of(job: RunningJob, _: Following) -> Pace:
        return Pace(NIGHT, "America/Los_Angeles", stop=job.stop, check=job.check, clock=closing)

    requested = await bench.request("full")
    worker = Worker(router.definitions[0], bench.tools, Settings(job_attempts=1))
    before = rows_read()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "pace_of", pace_of)
        with pytest.raises(RetryLaterError) as caught:
            await worker.receive(requested)
    assert caught.value.wait_seconds == 15 * 3_600 + 1  # until eight in the evening
    job = await bench.job(requested.job_id)
    assert (job["status"], job["failures"], job["error"]["code"]) == ("queued", 0, "window_closed")
    staged = await bench.fetch("SELECT source_table FROM ingest.staged_progress WHERE is_done")
    assert len(staged) >= 4
    assert await bench.fetch("SELECT FROM ingest.parcel_v1") == []
    first = {table: count - before.get(table, 0) for table, count in rows_read().items()}

    async with bench.database.begin(bench.county) as unit:
        await unit.connection.execute("UPDATE chassis.job SET not_before = NULL")
    await worker.receive(requested)
    done = await bench.job(requested.job_id)
    assert (done["status"], done["attempt"]) == ("succeeded", 2)
    both = {table: count - before.get(table, 0) for table, count in rows_read().items()}
    finished: set[Any] = {row["source_table"] for row in staged}
    year_table = "pacs_system"  # says the working year, so every start reads its one row
    assert {t for t in finished - {year_table} if both[t] != first[t]} == set()
    assert (
        sum(done["result"]["tables"][t]["rows_read"] for t in done["result"]["tables"]) == done["result"]["rows_read"]
    )
    active = await bench.fetch("SELECT FROM ingest.parcel_v1 WHERE is_active")
    assert len(active) == done["result"]["parcels"] > 250
