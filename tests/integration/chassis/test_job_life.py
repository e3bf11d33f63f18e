"""A job's life over real servers: each way it can end, and that it ends once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import BaseModel, ConfigDict

from chassis import database, queries
from chassis.errors import JobStoppedError, PermanentError, PostponedError, TransientError
from chassis.jobs import JobRouter, RunningJob, running_job
from chassis.requests import job_requested
from chassis.service import Service
from tests.support.jobs import COUNTY, Office, running, settings_for
from tests.support.waiting import eventually

router = JobRouter()
starts: Counter[UUID] = Counter()
started_at: dict[UUID, list[float]] = {}
held: dict[UUID, asyncio.Event] = {}


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mode: str = "succeed"
    failures: int = 0


@router.job("market", parameters=Parameters)
async def study(job: RunningJob, parameters: Parameters) -> None:
    """Do as the parameters say."""
    starts[job.id] += 1
    started_at.setdefault(job.id, []).append(time.monotonic())
    await MODES[parameters.mode](job, parameters)


async def succeed(job: RunningJob, parameters: Parameters) -> None:
    await job.progress(0, 2, "steps", "begun")
    await job.progress(2, 2, "steps")
    await job.store("answer.txt", b"42", media_type="text/plain")
    async with job.completing({"answer": 42}):
        pass


async def succeed_early(job: RunningJob, parameters: Parameters) -> None:
    await job.progress(1, 3, "steps")
    async with job.completing({}):
        pass


async def refuse(job: RunningJob, parameters: Parameters) -> None:
    raise PermanentError("crs_unknown", "EPSG 99999 is not known", details={"epsg": 99999})


async def falter(job: RunningJob, parameters: Parameters) -> None:
    if starts[job.id] <= parameters.failures:
        raise TransientError("source_away", "the source does not answer")
    await succeed(job, parameters)


async def postpone(job: RunningJob, parameters: Parameters) -> None:
    if starts[job.id] <= parameters.failures:
        raise PostponedError("window_closed", "the source may not be read now", wait_seconds=0.05)
    await succeed(job, parameters)


slow: ContextVar[bool] = ContextVar("slow", default=False)


async def crash(job: RunningJob, parameters: Parameters) -> None:
    raise RuntimeError("Jane Doe, 1 Main Street")


async def forget_to_complete(job: RunningJob, parameters: Parameters) -> None:
    job.check()


async def go_on(job: RunningJob, parameters: Parameters) -> None:
    while True:
        job.check()
        await asyncio.sleep(0.02)


async def write_then_fail(job: RunningJob, parameters: Parameters) -> None:
    async with job.completing({}) as unit:
        await unit.first_delivery(consumer="effect", event_id=str(job.id))
        raise PermanentError("second_thoughts", "no")


async def cancel_inside(job: RunningJob, parameters: Parameters) -> None:
    inner = asyncio.ensure_future(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner


async def wait_to_be_let_go(job: RunningJob, parameters: Parameters) -> None:
    await held.setdefault(job.id, asyncio.Event()).wait()
    await succeed(job, parameters)


async def throw_away_the_database(job: RunningJob, parameters: Parameters) -> None:
    if starts[job.id] == 1:
        async with job.database.begin(job.county) as unit:
            await unit.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    await succeed(job, parameters)


async def commit_slowly(job: RunningJob, parameters: Parameters) -> None:
    slow.set(True)
    await succeed(job, parameters)


MODES = {
    "succeed": succeed,
    "succeed_early": succeed_early,
    "refuse": refuse,
    "falter": falter,
    "postpone": postpone,
    "crash": crash,
    "forget": forget_to_complete,
    "go_on": go_on,
    "write_then_fail": write_then_fail,
    "cancel_inside": cancel_inside,
    "wait": wait_to_be_let_go,
    "lose_connection": throw_away_the_database,
    "commit_slowly": commit_slowly,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def service(office: Office, storage_url: str) -> AsyncIterator[Service]:
    async with running(router, settings_for(office, storage_url)) as started:
        yield started


async def effects(office: Office, job_id: UUID) -> int:
    return int(await office.fetchval("SELECT count(*) FROM chassis.inbox WHERE event_id = $1", str(job_id)))


async def test_a_job_succeeds(office: Office) -> None:
    job = await office.ended(await office.submit())
    assert (job["status"], job["attempt"], job["failures"], job["error"]) == ("succeeded", 1, 0, None)
    assert job["result"] == {"answer": 42}
    assert job["progress"] == {"done": 2, "total": 2, "unit": "steps", "message": ""}
    assert [(a["name"], a["bytes"]) for a in job["artifacts"]] == [("answer.txt", 2)]
    await office.outbox_is_empty()
    facts = await office.facts(job["id"])
    assert facts == ["requested", "started", "progressed", "progressed", "succeeded"]
    await office.idle()
    assert await office.letters(job["id"]) == []


async def test_a_job_that_succeeded_has_come_all_the_way(office: Office) -> None:
    job = await office.ended(await office.submit(mode="succeed_early"))
    assert job["progress"] == {"done": 3, "total": 3, "unit": "steps", "message": ""}
    assert job["finished_at"] > job["started_at"]


@pytest.mark.parametrize(("first", "second"), [("high", "normal"), ("normal", "low"), ("high", "low")])
async def test_a_more_urgent_job_goes_first(office: Office, first: str, second: str) -> None:
    urgent = await office.submit(priority=first, publish=False)
    other = await office.submit(priority=second)

    async def was_returned() -> bool:
        return bool((await office.jetstream.consumer_info("JOBS", "market")).num_redelivered)

    await eventually(was_returned, "the less urgent job's message was returned")
    assert (await office.job(other))["status"] == "queued"
    await publish_request(office, urgent)
    ended = [await office.ended(job_id) for job_id in (urgent, other)]
    assert [job["status"] for job in ended] == ["succeeded", "succeeded"]
    assert ended[0]["started_at"] < ended[1]["started_at"]


async def test_a_command_for_another_county_than_its_subjects_is_set_aside(office: Office) -> None:
    job_id = await office.submit(publish=False)
    before = len(await office.letters())
    message = job_requested(await office.job(job_id), service="gateway")
    await office.jetstream.publish("job.market.requested.yakima", message.body.encode(), headers=message.headers)
    (letter,) = await office.letters_since(before)
    assert b'"code":"subject_mismatch"' in letter.data
    assert (await office.job(job_id))["status"] == "queued"
    await publish_request(office, job_id, copy=1)
    assert (await office.ended(job_id))["status"] == "succeeded"


async def test_a_heartbeat_that_meets_the_jobs_own_end_lets_it_be(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = database._commit

    async def commit_and_dawdle(connection: Any) -> None:
        await commit(connection)
        if slow.get():
            await asyncio.sleep(1.2)  # two heartbeats, at a lease of two seconds

    monkeypatch.setattr(database, "_commit", commit_and_dawdle)
    job = await office.ended(await office.submit(mode="commit_slowly"))
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    await office.outbox_is_empty()  # by the worker itself, which was not made to leave its events behind
    await office.idle()


async def test_a_refusal_fails_the_job_at_once_with_its_code(office: Office) -> None:
    job = await office.ended(await office.submit(mode="refuse"))
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert job["error"] == {"code": "crs_unknown", "message": "EPSG 99999 is not known", "details": {"epsg": 99999}}
    await office.outbox_is_empty()
    (letter,) = await office.letters(job["id"])
    assert letter.subject == "dlq.market.benton"
    assert b'"code":"crs_unknown"' in letter.data
    assert await office.facts(job["id"]) == ["requested", "started", "failed"]


async def test_a_transient_error_is_tried_again_with_a_delay(office: Office) -> None:
    job = await office.ended(await office.submit(mode="falter", failures=2))
    assert (job["status"], job["attempt"], job["failures"], starts[job["id"]]) == ("succeeded", 3, 2, 3)
    await office.outbox_is_empty()
    assert (await office.facts(job["id"])).count("started") == 3
    waits = [later - earlier for earlier, later in pairwise(started_at[job["id"]])]
    assert min(waits) >= 0.08  # 0.1 s less the jitter
    assert await office.letters(job["id"]) == []


async def test_waiting_as_agreed_uses_up_no_starts(office: Office) -> None:
    job = await office.ended(await office.submit(mode="postpone", failures=5))
    assert (job["status"], job["attempt"], job["failures"], starts[job["id"]]) == ("succeeded", 6, 0, 6)
    assert job["error"] is None
    assert await office.letters(job["id"]) == []


async def test_a_job_that_waits_says_why_and_can_be_cancelled(office: Office) -> None:
    held_back = {"code": "window_closed", "message": "the source may not be read now", "details": {}}
    job_id = await office.submit(mode="postpone", failures=1_000_000)

    async def said() -> bool:
        return (await office.job(job_id))["error"] == held_back

    await eventually(said, "the job says why it waits")
    await office.cancel(job_id)
    assert (await office.ended(job_id))["status"] == "cancelled"


async def test_a_job_fails_when_its_starts_are_used_up(office: Office) -> None:
    job = await office.ended(await office.submit(mode="crash"))
    assert (job["status"], job["attempt"], starts[job["id"]]) == ("failed", 3, 3)
    assert job["error"]["code"] == "internal_error"
    assert "Jane Doe" not in str(dict(job))
    await office.outbox_is_empty()
    letters = await office.letters(job["id"])
    assert len(letters) == 1
    assert b"Jane Doe" not in letters[0].data
    assert (await office.facts(job["id"])).count("failed") == 1


async def test_a_job_that_is_asked_for_again_has_all_its_starts_again(office: Office) -> None:
    job = await office.ended(await office.submit(mode="crash"))
    async with office.database.begin(COUNTY) as unit:
        restarted = await queries.restart_job(unit.connection, COUNTY, job["id"])
    assert restarted is not None
    assert (restarted["status"], restarted["failures"], restarted["attempt"]) == ("queued", 0, 3)


async def test_invalid_parameters_fail_the_job_and_name_the_field(office: Office) -> None:
    job = await office.ended(await office.submit(colour="red"))
    assert (job["status"], job["error"]["code"]) == ("failed", "parameters_invalid")
    assert job["error"]["details"]["errors"][0]["field"] == "colour"
    assert starts[job["id"]] == 0


async def test_a_handler_that_completes_nothing_fails_the_job(office: Office) -> None:
    job = await office.ended(await office.submit(mode="forget"))
    assert (job["status"], job["error"]["code"]) == ("failed", "job_incomplete")


async def test_what_a_failed_completion_wrote_is_gone(office: Office) -> None:
    job = await office.ended(await office.submit(mode="write_then_fail"))
    assert job["error"]["code"] == "second_thoughts"
    assert await effects(office, job["id"]) == 0
    await office.outbox_is_empty()
    assert "succeeded" not in await office.facts(job["id"])


async def test_a_task_cancelled_inside_the_handler_uses_up_the_starts(office: Office) -> None:
    job = await office.ended(await office.submit(mode="cancel_inside"))
    assert (job["status"], job["error"]["code"], starts[job["id"]]) == ("failed", "internal_error", 3)


async def test_a_lost_database_connection_is_survived(office: Office) -> None:
    job = await office.ended(await office.submit(mode="lose_connection"))
    assert (job["status"], starts[job["id"]]) == ("succeeded", 2)


async def test_a_queued_job_is_cancelled_before_it_starts(office: Office) -> None:
    job_id = await office.submit(publish=False)
    await office.cancel(job_id)
    await publish_request(office, job_id)
    await office.idle()
    assert (await office.job(job_id))["status"] == "cancelled"
    assert starts[job_id] == 0


async def test_a_running_job_is_cancelled(office: Office) -> None:
    job_id = await office.submit(mode="go_on")
    await office.reached(job_id, "running")
    await office.cancel(job_id)
    job = await office.ended(job_id)
    assert (job["status"], job["error"]) == ("cancelled", None)
    await office.outbox_is_empty()
    facts = await office.facts(job_id)
    assert facts.count("cancelled") == 1
    assert await office.letters(job_id) == []


async def test_asking_to_stop_gets_the_streams_answer_and_no_workers(office: Office) -> None:
    body = (
        b'{"county":"benton","occurred_at":"2026-01-01T00:00:00Z","kind":"market","attempt":1,"requested_by":"x",'
        b'"job_id":"%s"}' % str(UUID(int=7)).encode()
    )
    inbox = office.client.new_inbox()
    answers = await office.client.subscribe(inbox)
    await office.client.publish("job.market.cancel_requested.benton", body, reply=inbox)
    first = await answers.next_msg(timeout=5)
    assert b'"stream":"JOBS"' in first.data
    await office.ended(await office.submit())  # by then a worker's answer would have come too
    assert answers.pending_msgs == 0
    await answers.unsubscribe()


async def test_a_job_past_its_deadline_fails(office: Office) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    job = await office.ended(await office.submit(mode="go_on", deadline=soon))
    assert (job["status"], job["error"]["code"]) == ("failed", "deadline_exceeded")
    late = await office.ended(await office.submit(deadline=datetime.now(UTC) - timedelta(seconds=1)))
    assert (late["error"]["code"], starts[late["id"]]) == ("deadline_exceeded", 0)


async def test_a_job_asked_for_twice_is_done_once(office: Office) -> None:
    job_id = await office.submit(mode="wait")
    await office.reached(job_id, "running")
    for number in range(3):
        await publish_request(office, job_id, copy=number)
    held.setdefault(job_id, asyncio.Event()).set()
    await office.ended(job_id)
    await publish_request(office, job_id, copy=4)
    await office.idle()
    assert starts[job_id] == 1
    assert (await office.facts(job_id)).count("succeeded") == 1


async def test_a_silent_workers_job_is_taken_over_and_its_late_result_refused(office: Office) -> None:
    job_id = await office.submit(mode="wait")
    await office.reached(job_id, "running")
    async with office.database.begin(COUNTY) as unit:  # as if its worker had died long ago and another had it now
        await unit.connection.execute(
            "UPDATE chassis.job SET attempt = attempt + 1, owner = 'another' WHERE id = $1", job_id
        )
    held.setdefault(job_id, asyncio.Event()).set()

    job = await office.ended(job_id)  # our message comes again; the other is silent for the lease: taken over
    assert (job["status"], job["attempt"], job["failures"]) == ("succeeded", 3, 1)
    assert (await office.facts(job_id)).count("succeeded") == 1


async def test_a_job_whose_workers_always_die_is_given_up(office: Office) -> None:
    job_id = await office.submit(publish=False)
    async with office.database.begin(COUNTY) as unit:
        await unit.connection.execute(
            "UPDATE chassis.job SET status = 'running', attempt = 3, failures = 2, owner = 'dead',"
            " heartbeat_at = now() - interval '1 hour' WHERE id = $1",
            job_id,
        )
    await publish_request(office, job_id)
    job = await office.ended(job_id)
    assert (job["status"], job["error"]["code"], starts[job_id]) == ("failed", "worker_lost", 0)
    await office.outbox_is_empty()
    assert "started" not in await office.facts(job_id)
    assert len(await office.letters(job_id)) == 1


async def test_a_cancellation_of_a_dead_workers_job_is_carried_out(office: Office) -> None:
    job_id = await office.submit(publish=False)
    async with office.database.begin(COUNTY) as unit:
        await unit.connection.execute("UPDATE chassis.job SET status = 'cancelling', attempt = 1 WHERE id = $1", job_id)
    await publish_request(office, job_id)
    assert (await office.ended(job_id))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"{garbage", {}, "message_invalid"),
        (b"{garbage", {"content-type": "application/json"}, "message_invalid"),
        (b"\xff\xfe\x00", {"content-type": "application/json"}, "message_invalid"),
        (b"[" * 100_000, {"content-type": "application/json"}, "message_invalid"),
        (b'{"job_id": 7}', {"content-type": "application/json"}, "message_invalid"),
    ],
)
async def test_a_message_nobody_can_read_is_set_aside_once(
    office: Office, body: bytes, headers: dict[str, str], code: str
) -> None:
    before = len(await office.letters())
    await office.jetstream.publish("job.market.requested.benton", body, headers=headers or None)
    after = await office.ended(await office.submit())
    assert after["status"] == "succeeded"
    letters = await office.letters_since(before)
    assert len(letters) == 1
    assert f'"code":"{code}"'.encode() in letters[0].data
    assert (letters[0].headers or {})["ce-id"] == (letters[0].headers or {})["Nats-Msg-Id"]


async def test_a_message_of_an_impossible_county_is_set_aside(office: Office) -> None:
    before = len(await office.letters())
    await office.jetstream.publish("job.market.requested.NOT-A-COUNTY", b"{}")
    (letter,) = await office.letters_since(before)
    assert letter.subject == "dlq.market.unknown"


async def test_a_message_of_an_unknown_job_is_set_aside(office: Office) -> None:
    job_id = await office.submit(publish=False)
    async with office.database.begin(COUNTY) as unit:
        row = await queries.read_job(unit.connection, COUNTY, job_id)
    assert row is not None
    before = len(await office.letters())
    await publish_request(office, UUID(int=1), row=dict(row) | {"id": UUID(int=1)})
    (letter,) = await office.letters_since(before)
    assert b'"code":"job_unknown"' in letter.data


async def publish_request(office: Office, job_id: UUID, *, row: Any = None, copy: int = 0) -> None:
    """The command of a job, as a message of its own."""
    message = job_requested(row or await office.job(job_id), service="gateway")
    await office.jetstream.publish(message.subject, message.body.encode(), headers=message.headers)


async def test_a_late_attempts_completion_raises_and_writes_nothing(office: Office, service: Service) -> None:
    job_id = await office.submit(publish=False)
    async with office.database.begin(COUNTY) as unit:
        row = await queries.claim_job(unit.connection, COUNTY, job_id, owner="slow", lease=timedelta(seconds=2))
        assert row is not None
        await unit.connection.execute("UPDATE chassis.job SET attempt = attempt + 1 WHERE id = $1", job_id)
    late = running_job(row, service.tools)
    with pytest.raises(JobStoppedError):
        async with late.completing({"late": True}) as completing:
            await completing.first_delivery(consumer="effect", event_id=str(job_id))
    assert not late.completed
    assert await effects(office, job_id) == 0
    with pytest.raises(JobStoppedError):
        await late.progress(1, 2, "steps")
    job = await office.job(job_id)
    assert (job["status"], job["result"]) == ("running", None)
    assert "succeeded" not in await office.facts(job_id)
