"""`kill -9` at random points of snapshot and stream: equal state, equal event ids, no gap."""

import os
from pathlib import Path
from uuid import UUID

import pytest

from tests.support import servers
from tests.support.ingest_platform import ENDED
from tests.support.killed_runs import KilledPair, Reader, killed_pair, killed_pair_platform
from tests.support.processes import wait_until
from tests.support.seeds import seed_of_this_run
from tests.support.small_source import PAIR

ROUNDS, KILLS_IN_A_ROUND = 3, 3


async def kill_runs(killed: KilledPair, *, rounds: int, kills: int | None = None) -> None:
    """Runs of the pair that are killed, each beside a run of its twin on the same source; `kills`: go on until then."""
    number = 0
    while number < rounds or (kills is not None and killed.killed.total() < kills):
        if number:
            killed.write()
        job_id, mode = killed.next_job(), "full" if number % 5 == 4 else "incremental"
        await killed.run_twin(job_id, mode)
        killed.run_killed(job_id, mode, kills=KILLS_IN_A_ROUND if number else 2 * KILLS_IN_A_ROUND)
        await killed.assert_twins()
        number += 1


async def kill_runs_under_writers(killed: KilledPair, *, rounds: int, kills: int = 0) -> None:
    """The same while the source changes between a death and the next start."""
    while killed.rounds < rounds or killed.killed.total() < kills:
        killed.run_killed(killed.next_job(), "incremental", kills=KILLS_IN_A_ROUND, meanwhile=killed.write)
    killed.writers.settle()
    killed.run_killed(killed.next_job(), "incremental", kills=0)
    await killed.assert_followed()
    killed.certify()


@pytest.mark.timeout(300)
async def test_a_run_that_is_killed_ends_as_if_it_had_not_been(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    seed = seed_of_this_run("TERRAFUSION_KILL_SEED")
    async with killed_pair_platform(
        postgres, migrated_template, tmp_path, pair=killed_pair("mixed"), seed=seed
    ) as killed:
        await kill_runs(killed, rounds=ROUNDS)
        assert killed.killed.total() >= ROUNDS
        killed.certify()


@pytest.mark.timeout(300)
async def test_a_killed_run_follows_writers_that_go_on(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    seed = seed_of_this_run("TERRAFUSION_KILL_SEED")
    async with killed_pair_platform(
        postgres, migrated_template, tmp_path, pair=killed_pair("mixed"), seed=seed
    ) as killed:
        await kill_runs_under_writers(killed, rounds=ROUNDS)
        assert killed.killed.total() >= ROUNDS


def crash_the_database(killed: KilledPair, job_id: UUID, *, batches: int) -> None:
    """Kill PostgreSQL once so many batches are staged: what is unlogged is empty when it comes back."""
    platform = killed.platform
    staged = "SELECT count(*) AS n FROM ingest.staged_progress"
    wait_until(
        lambda: platform.rows(staged)[0]["n"] >= batches or platform.job(job_id)["status"] in ENDED,
        "some batches are staged",
    )
    assert platform.job(job_id)["status"] not in ENDED
    platform.postgres.kill()
    platform.postgres.start()


@pytest.mark.timeout(300)
async def test_the_operational_database_crashes_and_loses_what_was_staged(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    seed, pair = seed_of_this_run("TERRAFUSION_KILL_SEED"), killed_pair("mixed", rows_per_second=100)
    async with killed_pair_platform(postgres, migrated_template, tmp_path, pair=pair, seed=seed) as killed:
        platform, first = killed.platform, killed.next_job()
        platform.start_worker()
        platform.submit(first, pair=PAIR)
        for _ in range(2):
            crash_the_database(killed, first, batches=killed.random.randint(1, 8))
        assert platform.wait_for(first)["status"] == "succeeded"
        await killed.run_twin(first, "incremental")
        await killed.assert_twins()
        for _ in range(2):
            killed.write()
            job_id = platform.submit(killed.next_job(), pair=PAIR, mode="full")
            crash_the_database(killed, job_id, batches=killed.random.randint(1, 4))
            killed.write()
            assert platform.wait_for(job_id)["status"] == "succeeded"
        killed.writers.settle()
        assert platform.wait_for(platform.submit(killed.next_job(), pair=PAIR))["status"] == "succeeded"
        platform.kill_worker()
        await killed.assert_followed()
        killed.certify()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("reader", ["hash_diff", "rowversion", "timestamp", "mixed"])
async def test_runs_are_killed_at_many_points(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, reader: Reader
) -> None:
    kills = int(os.environ.get("TERRAFUSION_SOAK_KILLS", "200")) // 4
    seed = seed_of_this_run("TERRAFUSION_KILL_SEED")
    async with killed_pair_platform(
        postgres, migrated_template, tmp_path, pair=killed_pair(reader), seed=seed
    ) as killed:
        await kill_runs(killed, rounds=1, kills=kills // 2)
        killed.certify()
    more = kills - killed.killed.total()
    async with killed_pair_platform(
        postgres, migrated_template, tmp_path / "written", pair=killed_pair(reader), seed=seed
    ) as written:
        await kill_runs_under_writers(written, rounds=1, kills=more)
    print(f"{reader}: {dict(killed.killed)} and under writers {dict(written.killed)}")  # noqa: T201
    assert killed.killed.total() + written.killed.total() >= kills
