"""One owner per pair, whoever stands still; a full bus; a source that is away; runs that people end."""

import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest
from psycopg.types.json import Jsonb

from chassis import queries as chassis_queries
from chassis.embedded.nats_server import EmbeddedNats
from chassis.requests import job_requested
from tests.support import servers
from tests.support.ingest_platform import IngestPlatform
from tests.support.killed_ingest import Point
from tests.support.killed_runs import KilledPair, killed_pair, killed_pair_platform
from tests.support.processes import wait_until
from tests.support.seeds import seed_of_this_run
from tests.support.small_source import PAIR
from tests.support.tcp_proxy import tcp_proxy

PAUSES = int(os.environ.get("TERRAFUSION_PAUSES", "3"))


@asynccontextmanager
async def some_pair(
    postgres: servers.DatabaseServer, template: str, folder: Path, *, following: dict[str, Any] | None = None,
    **more: Any,
) -> AsyncIterator[KilledPair]:  # fmt: skip
    seed = seed_of_this_run("TERRAFUSION_KILL_SEED")
    pair = killed_pair("mixed", **following or {})
    async with killed_pair_platform(postgres, template, folder, pair=pair, seed=seed, **more) as killed:
        yield killed


def operations(platform: IngestPlatform) -> list[dict[str, Any]]:
    return platform.rows("SELECT * FROM ingest.sync_operation WHERE mode <> 'verify' ORDER BY sequence")


@pytest.mark.timeout(300)
async def test_of_two_replicas_one_at_a_time_has_the_pair(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    async with some_pair(postgres, migrated_template, tmp_path) as killed:
        platform = killed.platform
        platform.start_worker("one")
        platform.start_worker("two")
        jobs = [platform.submit(killed.next_job(), pair=PAIR) for _ in range(6)]
        for job in jobs:
            killed.write(20)
            assert platform.wait_for(job)["status"] == "succeeded"
        applied = operations(platform)
        assert [operation["sequence"] for operation in applied] == list(range(1, 7))
        for earlier, later in itertools.pairwise(applied):
            assert earlier["finished_at"] <= later["started_at"]
        killed.writers.settle()
        assert platform.wait_for(platform.submit(killed.next_job(), pair=PAIR))["status"] == "succeeded"
        platform.kill_worker("one")
        platform.kill_worker("two")
        await killed.assert_followed()


@pytest.mark.timeout(400)
async def test_an_owner_that_stood_still_changes_nothing_when_it_wakes(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    async with some_pair(postgres, migrated_template, tmp_path) as killed:
        platform, stood = killed.platform, 0
        for _ in range(PAUSES):
            job_id = killed.next_job()
            await killed.run_twin(job_id, "incremental")
            point = Point(number=killed.random.randint(5, killed.statements), when="before", signal="SIGSTOP")
            platform.submit(job_id, pair=PAIR)
            platform.start_worker("sleeper", point)
            stands_still_or_is_done(platform, job_id)
            stood += platform.is_worker_stopped("sleeper")
            platform.start_worker("other")
            assert platform.wait_for(job_id)["status"] == "succeeded", point
            platform.kill_worker("other")
            platform.signal_worker("sleeper", signal.SIGCONT)
            await killed.assert_twins()
            killed.write()
            awake = killed.next_job()  # the sleeper is alone now, and has come to itself
            await killed.run_twin(awake, "incremental")
            platform.submit(awake, pair=PAIR)
            assert platform.wait_for(awake)["status"] == "succeeded", point
            platform.kill_worker("sleeper")
            await killed.assert_twins()
            killed.write()
        assert stood


@pytest.mark.timeout(300)
async def test_another_job_may_take_a_pair_whose_owner_stands_still(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    async with some_pair(postgres, migrated_template, tmp_path) as killed:
        platform = killed.platform
        first = platform.submit(killed.next_job(), pair=PAIR)
        platform.start_worker("sleeper", Point(of="block", number=3, signal="SIGSTOP"))
        wait_until(lambda: platform.is_worker_stopped("sleeper"), "the worker stands still", wait_seconds=90)
        killed.write()
        second = platform.submit(killed.next_job(), pair=PAIR)
        platform.start_worker("other")
        assert platform.wait_for(second)["status"] == "succeeded"
        platform.signal_worker("sleeper", signal.SIGCONT)
        assert platform.wait_for(first)["status"] == "succeeded"
        killed.writers.settle()
        assert platform.wait_for(platform.submit(killed.next_job(), pair=PAIR))["status"] == "succeeded"
        platform.kill_worker("other")
        platform.kill_worker("sleeper")
        assert [operation["sequence"] for operation in operations(platform)] == [1, 2, 3]
        await killed.assert_followed()


@pytest.mark.timeout(300)
async def test_a_full_bus_keeps_events_in_the_outbox(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    settings = {"max_file_store": "200K"}
    async with some_pair(postgres, migrated_template, tmp_path, nats_settings=settings) as killed:
        platform = killed.platform
        platform.start_worker()
        assert platform.wait_for(platform.submit(killed.next_job(), pair=PAIR))["status"] == "succeeded"
        refused = "events stay in the outbox"
        wait_until(lambda: refused in (platform.folder / "relay.log").read_text(), "the bus is full")
        waiting = platform.rows("SELECT count(*) AS n FROM chassis.outbox")[0]["n"]
        assert waiting > 10
        full = platform.nats
        full.stop()
        platform.nats = EmbeddedNats(full.store_dir, port=full.port, monitoring_port=full.monitoring_port)
        platform.nats.start()
        platform.settle()
        killed.write()
        killed.writers.settle()
        assert platform.wait_for(platform.submit(killed.next_job(), pair=PAIR))["status"] == "succeeded"
        platform.kill_worker()
        await killed.assert_followed()


@pytest.mark.timeout(300)
async def test_a_source_that_was_away_is_followed_again_by_itself(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path
) -> None:
    with tcp_proxy(postgres.url) as proxy:
        following = {"poll_every_seconds": 1}
        async with some_pair(postgres, migrated_template, tmp_path, following=following, through=proxy.url) as killed:
            platform = killed.platform
            platform.more["TERRAFUSION_JOB_ATTEMPTS"] = "1"  # the next poll tries again
            platform.start_worker()
            wait_until(lambda: len(operations(platform)) >= 2, "two polls were applied")
            proxy.cut_after_asked = 1
            breaker = "SELECT FROM ingest.sync_pair WHERE failures >= 4 AND retry_at IS NOT NULL"
            wait_until(lambda: bool(platform.rows(breaker)), "the breaker is open, and a probe has failed")
            resting = "SELECT FROM chassis.job WHERE result ->> 'skipped' = 'source_resting'"
            wait_until(lambda: bool(platform.rows(resting)), "a poll was left out")
            killed.write()
            killed.writers.settle()
            before = len(operations(platform))
            proxy.heal()
            wait_until(lambda: len(operations(platform)) >= before + 2, "polls are applied again", wait_seconds=90)
            platform.kill_worker()
            assert platform.rows("SELECT failures, retry_at FROM ingest.sync_pair") == [
                {"failures": 0, "retry_at": None}
            ]
            await killed.assert_followed()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", ["cancelled", "deadline"])
async def test_a_run_that_people_end_applies_nothing_and_may_be_started_again(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, end: str
) -> None:
    async with some_pair(postgres, migrated_template, tmp_path, following={"rows_per_second": 60}) as killed:
        platform, job_id = killed.platform, killed.next_job()
        platform.submit(job_id, pair=PAIR)
        platform.start_worker()
        staged = "SELECT count(*) AS n FROM ingest.staged_progress"
        wait_until(lambda: platform.rows(staged)[0]["n"] > 1, "some batches are staged")
        ends = {"cancelled": "status = 'cancelling'", "deadline": "deadline = now()"}
        change(platform, f"UPDATE chassis.job SET {ends[end]} WHERE id = %s", job_id)
        ended = platform.wait_for(job_id)
        assert ended["status"] == ("cancelled" if end == "cancelled" else "failed")
        assert end == "cancelled" or ended["error"]["code"] == "deadline_exceeded"
        assert operations(platform) == []
        assert platform.rows("SELECT FROM ingest.parcel_v1") == []
        assert [message.subject for message in await platform.heard()] == []
        starts = 0
        while platform.job(job_id)["status"] != "succeeded":
            kept, starts = platform.rows(staged)[0]["n"], starts + 1
            await restart(platform, job_id)
            ended = platform.wait_for(job_id, wait_seconds=120)
            is_further = ended["status"] == "succeeded" or platform.rows(staged)[0]["n"] > kept
            assert is_further, "what is read stays, so every start comes further"
        platform.kill_worker()
        assert starts >= 1
        await killed.run_twin(job_id, "incremental")
        await killed.assert_twins()


def change(platform: IngestPlatform, statement: str, *arguments: Any) -> None:
    with psycopg.connect(platform.postgres.url) as connection:
        connection.execute(statement.encode(), arguments)


async def restart(platform: IngestPlatform, job_id: UUID) -> None:
    """As the gateway starts a job again that failed or was cancelled."""
    connection = await asyncpg.connect(platform.postgres.url)
    try:
        assert await chassis_queries.restart_job(connection, platform.county, job_id)
    finally:
        await connection.close()
    message = job_requested(platform.job(job_id), service="gateway")
    change(
        platform,
        "INSERT INTO chassis.outbox (id, county, subject, headers, body) VALUES (%s, %s, %s, %s, %s)",
        message.id, message.county, message.subject, Jsonb(message.headers), message.body,
    )  # fmt: skip


def stands_still_or_is_done(platform: IngestPlatform, job_id: UUID) -> None:
    wait_until(
        lambda: platform.is_worker_stopped("sleeper") or platform.job(job_id)["status"] == "succeeded",
        "the worker stands still or is done",
        wait_seconds=90,
    )
