"""Whatever dies, every job ends exactly once and no event is lost."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.support.crash_platform import CrashPlatform, crash_platform, kill_self_after
from tests.support.processes import wait_until
from tests.support.seeds import seed_of_this_run

TARGETS = ["worker_1", "worker_2", "relay", "submitter", "nats", "postgres"]


@pytest.fixture(scope="module")
def platform() -> Iterator[CrashPlatform]:
    with crash_platform() as started:
        yield started


@pytest.fixture(autouse=True)
def everything_runs(platform: CrashPlatform) -> None:
    platform.revive()


@pytest.mark.timeout(180)
def test_a_worker_dies_in_the_middle_of_a_job(platform: CrashPlatform) -> None:
    job = platform.submit(steps=40, step_seconds=0.05)
    platform.wait_for(job, "running")
    platform.crash(platform.owner_of(job))
    platform.wait_for(job, "succeeded")
    platform.check({job})
    assert platform.query("SELECT attempt, failures FROM chassis.job WHERE id = %s", job) == [(2, 1)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("server", ["nats", "postgres"])
def test_a_server_dies_in_the_middle_of_a_job(platform: CrashPlatform, server: str) -> None:
    jobs = {platform.submit(steps=30, step_seconds=0.05) for _ in range(3)}
    for job in list(jobs)[:1]:
        platform.wait_for(job, "running")
    platform.crash(server)
    jobs.add(platform.submit())
    for job in jobs:
        platform.wait_for(job, "succeeded")
    platform.check(jobs)


@pytest.mark.timeout(180)
def test_the_publisher_dies_between_commit_and_publication(platform: CrashPlatform) -> None:
    platform.kill_process("relay")
    job = platform.submit(submitter_dies=True)
    kill_self_after(platform.processes["submitter"])
    assert platform.query("SELECT count(*) FROM chassis.outbox WHERE id = %s", job) == [(1,)]
    assert platform.statuses()[job] == "queued"
    del platform.asked[job]["submitter_dies"]
    platform.revive()
    platform.wait_for(job, "succeeded")
    platform.check({job})


@pytest.mark.timeout(180)
def test_a_worker_dies_between_commit_and_acknowledgement(platform: CrashPlatform) -> None:
    job = platform.submit(worker_dies=True, steps=1)
    platform.wait_for(job, "succeeded")
    wait_until(lambda: any(p.poll() == -signal.SIGKILL for p in platform.processes.values()), "a worker has died")
    platform.check({job})
    assert platform.query("SELECT attempt FROM chassis.job WHERE id = %s", job) == [(1,)]


def storm(platform: CrashPlatform, rng: random.Random, *, jobs: int, kills: int | None) -> Counter[str]:
    """Submit jobs and kill at random points; without a number of kills, until all jobs have ended."""
    asked: set[UUID] = set()
    killed: Counter[str] = Counter()
    next_kill = next_job = next_look = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= next_job and len(asked) < jobs:
            steps = rng.randint(1, 5)
            asked.add(platform.submit(steps=steps, step_seconds=rng.uniform(0, 0.2 / steps)))
            next_job = now + rng.expovariate(4)
        if now >= next_kill and (kills is None or killed.total() < kills):
            target = rng.choice(TARGETS)
            platform.crash(target)
            killed[target] += 1
            next_kill = time.monotonic() + rng.uniform(0.3, 3)
        if now >= next_look:
            platform.revive()
            ended = [job for job, status in platform.statuses().items() if status == "succeeded" and job in asked]
            if len(ended) == jobs and (kills is None or killed.total() >= kills):
                break
            next_look = time.monotonic() + 0.3
        time.sleep(0.01)
    platform.check(asked)
    return killed


@pytest.mark.timeout(300)
def test_jobs_survive_random_kills(platform: CrashPlatform) -> None:
    jobs = int(os.environ.get("TERRAFUSION_CRASH_JOBS", "25"))
    kills = int(os.environ.get("TERRAFUSION_CRASH_KILLS", "6"))
    killed = storm(platform, random.Random(seed_of_this_run("TERRAFUSION_CRASH_SEED")), jobs=jobs, kills=kills)
    assert killed.total() == kills


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_jobs_survive_kills_without_end(platform: CrashPlatform) -> None:
    jobs = int(os.environ.get("TERRAFUSION_SOAK_JOBS", "200"))
    killed = storm(platform, random.Random(seed_of_this_run("TERRAFUSION_CRASH_SEED")), jobs=jobs, kills=None)
    print(f"{jobs} jobs ended once each under {killed.total()} kills: {dict(killed)}")  # noqa: T201
    assert killed.total() > 0
