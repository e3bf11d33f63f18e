"""The bus or the operational database away while the source is written: nothing lost, memory bounded."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.support import servers
from tests.support.killed_runs import KilledPair, killed_pair, killed_pair_platform
from tests.support.seeds import seed_of_this_run
from tests.support.waiting import eventually

Away = Literal["nats killed", "nats stopped", "postgres killed"]
MOST_MB, MOST_GROWTH_MB = 512, 128
ACTS = 400


@dataclass
class Watch:
    """The memory of ingest and relay, looked at again and again."""

    killed: KilledPair
    samples: list[dict[str, float]] = field(default_factory=list)

    def look(self) -> dict[str, float]:
        self.samples.append(self.killed.platform.resident_mb())
        return self.samples[-1]

    def highest(self) -> dict[str, float]:
        return {name: max(sample.get(name, 0) for sample in self.samples) for name in ("ingest", "relay")}

    def assert_bounded(self, before: dict[str, float]) -> None:
        for name, highest in self.highest().items():
            assert highest < MOST_MB, self.highest()
            assert highest < before[name] + MOST_GROWTH_MB, (before, self.highest())


@contextmanager
def writing(killed: KilledPair) -> Iterator[threading.Event]:
    """Writers that go on in a thread of their own until the block ends; then all that they wrote is committed."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.01):
            killed.writers.act(may_lock=False)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()
        killed.writers.settle()


@asynccontextmanager
async def without(killed: KilledPair, away: Away) -> AsyncIterator[None]:
    """The server is away in the block, and back after it, on the same folder and port."""
    platform = killed.platform
    if away == "nats stopped":
        pid = platform.nats.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
        return
    server = platform.nats if away == "nats killed" else platform.postgres
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


async def polled(killed: KilledPair, *, runs: int = 1, wait_seconds: float = 60) -> None:
    """Wait until so many more polls have begun and been applied."""
    (now,) = killed.platform.rows("SELECT now() AS at")
    query = "SELECT count(*) AS runs FROM ingest.sync_operation WHERE started_at > %s AND mode <> 'verify'"

    async def look() -> bool:
        return bool(killed.platform.rows(query, now["at"])[0]["runs"] >= runs)

    await eventually(look, f"{runs} polls have been applied", wait_seconds=wait_seconds, pause_seconds=0.2)


async def survive(killed: KilledPair, away: Away, *, seconds: float | None) -> Watch:
    """Polls under writers, an outage of so many seconds or until enough was written, polls again: all is there."""
    platform, watch = killed.platform, Watch(killed)
    platform.start_worker()
    with writing(killed):
        await polled(killed, runs=3)
        before = watch.look()
        written, begun = len(killed.writers.story), time.monotonic()

        async def has_lasted() -> bool:
            watch.look()
            is_over = len(killed.writers.story) >= written + ACTS
            return is_over if seconds is None else time.monotonic() >= begun + seconds

        async with without(killed, away):
            wait_seconds = 90 if seconds is None else seconds + 60
            await eventually(has_lasted, "the outage has lasted", wait_seconds=wait_seconds, pause_seconds=1)
        acts, back = len(killed.writers.story) - written, time.monotonic()
        await polled(killed, wait_seconds=120)
        recovered_seconds = time.monotonic() - back
        watch.look()
    await polled(killed)
    watch.look()
    platform.kill_worker()
    await killed.assert_followed()
    watch.assert_bounded(before)
    killed.certify()
    print(  # noqa: T201  # what a run of a soak says
        f"{away} for {back - begun:.0f} s: {acts} acts of writers meanwhile, a poll was applied"
        f" {recovered_seconds:.1f} s after; resident MB before {rounded(before)}, at most {rounded(watch.highest())}"
    )
    return watch


def rounded(megabytes: dict[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in megabytes.items()}


@asynccontextmanager
async def polled_pair(postgres: servers.DatabaseServer, template: str, folder: Path) -> AsyncIterator[KilledPair]:
    seed = seed_of_this_run("TERRAFUSION_KILL_SEED")
    pair = killed_pair("mixed", poll_every_seconds=1)
    async with killed_pair_platform(postgres, template, folder, pair=pair, seed=seed) as killed:
        yield killed


@pytest.mark.timeout(400)
@pytest.mark.parametrize("away", ["nats killed", "nats stopped", "postgres killed"])
async def test_an_outage_under_writers_loses_nothing(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, away: Away
) -> None:
    async with polled_pair(postgres, migrated_template, tmp_path) as killed:
        watch = await survive(killed, away, seconds=None)
        assert len(watch.samples) > 3


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("away", ["nats killed", "postgres killed"])
async def test_a_long_outage_under_writers_loses_nothing(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, away: Away
) -> None:
    seconds = float(os.environ.get("TERRAFUSION_SOAK_OUTAGE_SECONDS", "600"))
    async with polled_pair(postgres, migrated_template, tmp_path) as killed:
        watch = await survive(killed, away, seconds=seconds)
        assert len(watch.samples) > seconds / 3
