"""Dead letters are listed and sent back, and sending back twice does nothing twice."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import BaseModel
from typer.testing import CliRunner

from chassis.database import Database
from chassis.deadletters import Redriven, list_dead_letters, redrive
from chassis.errors import NotFoundError, PermanentError
from chassis.jobs import JobRouter, RunningJob
from chassis.relay import sweep
from chassis.service import Service
from clients.sdk.cli import app
from tests.support.jobs import COUNTY, Office, running, settings_for
from tests.support.waiting import eventually

router = JobRouter()
mended: set[str] = set()


class Parameters(BaseModel):
    """What fails until it is mended."""

    needs: str = ""


@router.job("market", parameters=Parameters)
async def study(job: RunningJob, parameters: Parameters) -> None:
    """Refuse until what it needs is there."""
    if parameters.needs and parameters.needs not in mended:
        raise PermanentError("source_missing", f"{parameters.needs} is not there")
    async with job.completing({}):
        pass


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def service(office: Office, storage_url: str) -> AsyncIterator[Service]:
    async with running(router, settings_for(office, storage_url)) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relay(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service="relay")
    await database.open()
    yield database
    await database.close()


async def failed_job(office: Office, needs: str, county: str = COUNTY) -> int:
    """The sequence of a failed job's dead letter."""
    job = await office.ended(await office.submit(county=county, needs=needs))
    assert job["status"] == "failed"
    await office.outbox_is_empty()
    (letter,) = await office.letters(job["id"])
    return letter.metadata.sequence.stream


async def test_letters_are_listed_by_county_newest_first(office: Office) -> None:
    sequences = [await failed_job(office, f"list-{number}", county="yakima") for number in range(3)]
    await failed_job(office, "list-other")
    found = await list_dead_letters(office.jetstream, "yakima", 2)
    assert [stored.sequence for stored in found] == sequences[:0:-1]
    assert {stored.letter.code for stored in found} == {"source_missing"}
    assert len(await list_dead_letters(office.jetstream, None, 100)) >= 4
    assert await list_dead_letters(office.jetstream, "nowhere", 100) == []


async def test_a_redriven_job_is_done_once(office: Office, relay: Database) -> None:
    sequence = await failed_job(office, "roll")
    letter = (await list_dead_letters(office.jetstream, COUNTY, 1))[0].letter
    assert letter.job_id is not None
    mended.add("roll")
    assert await redrive(relay, office.jetstream, sequence) is Redriven.JOB_QUEUED
    with pytest.raises(NotFoundError):
        await redrive(relay, office.jetstream, sequence)
    await sweep(relay, office.sender, older_than=timedelta(0))
    job = await office.reached(letter.job_id, "succeeded")
    assert (job["attempt"], job["error"]) == (2, None)
    facts = await office.facts(letter.job_id)
    assert (facts.count("succeeded"), facts.count("failed")) == (1, 1)
    assert await office.letters(letter.job_id) == []


async def test_a_job_that_was_retried_meanwhile_is_left_alone(office: Office, relay: Database) -> None:
    sequence = await failed_job(office, "retried")
    letter = (await list_dead_letters(office.jetstream, COUNTY, 1))[0].letter
    async with office.database.begin(COUNTY) as unit:
        await unit.connection.execute("UPDATE chassis.job SET status = 'cancelled' WHERE id = $1", letter.job_id)
    assert await redrive(relay, office.jetstream, sequence) is Redriven.NOTHING_TO_DO
    assert letter.job_id is not None
    assert (await office.job(letter.job_id))["status"] == "cancelled"
    assert await office.letters(letter.job_id) == []


async def letter_of_a_message(office: Office, original: dict[str, object]) -> int:
    """A dead letter as a subscriber of facts would leave it."""
    body = {
        "county": COUNTY,
        "occurred_at": "2026-01-02T03:04:05Z",
        "service": "valuation",
        "code": "internal_error",
        "reason": "KeyError",
        "deliveries": 5,
    }
    acknowledgement = await office.jetstream.publish(f"dlq.valuation.{COUNTY}", json.dumps(body | original).encode())
    return acknowledgement.seq


async def test_another_message_goes_back_as_it_was_under_a_new_id(office: Office, relay: Database) -> None:
    event_id = str(uuid4())
    headers = {"ce-id": event_id, "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    await office.jetstream.publish("parcel.changed.benton", b'{"n": 1}', headers=headers | {"Nats-Msg-Id": event_id})
    sequence = await letter_of_a_message(
        office,
        {
            "original_subject": "parcel.changed.benton",
            "original_headers": headers | {"Nats-Expected-Stream": "ELSEWHERE", "Nats-Msg-Id": event_id},
            "original_body": '{"n": 1}',
        },
    )
    assert await redrive(relay, office.jetstream, sequence) is Redriven.MESSAGE_PUBLISHED
    first, again = await office.messages("FACTS", "parcel.changed.benton")
    assert again.data == first.data
    told = again.headers or {}
    assert {name: told[name] for name in headers} == headers
    assert told["Nats-Msg-Id"] != event_id
    assert "Nats-Expected-Stream" not in told
    with pytest.raises(NotFoundError) as refusal:
        await redrive(relay, office.jetstream, sequence)
    assert refusal.value.code == "dead_letter_unknown"
    assert len(await office.messages("FACTS", "parcel.changed.benton")) == 2


async def test_bytes_come_back_as_they_were(office: Office, relay: Database) -> None:
    sequence = await letter_of_a_message(
        office,
        {
            "original_subject": "owner.changed.benton",
            "original_body": base64.b64encode(b"\xff\x00").decode(),
            "original_body_encoding": "base64",
        },
    )
    await redrive(relay, office.jetstream, sequence)
    (message,) = await office.messages("FACTS", "owner.changed.benton")
    assert message.data == b"\xff\x00"


async def test_what_is_not_there_is_said_so(office: Office, relay: Database) -> None:
    with pytest.raises(NotFoundError):
        await redrive(relay, office.jetstream, 999_999)


async def test_the_commands(office: Office, relay: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = await failed_job(office, "command", county="kitsap")
    monkeypatch.setenv("TERRAFUSION_NATS_URL", office.nats_url)
    monkeypatch.setenv("TERRAFUSION_OPERATIONAL_DB_URL", office.database_url)
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()
    listed = await asyncio.to_thread(runner.invoke, app, ["dlq", "list", "--county", "kitsap"])
    assert listed.exit_code == 0, listed.output
    redriven = await asyncio.to_thread(runner.invoke, app, ["dlq", "redrive", str(sequence)])
    assert (redriven.exit_code, redriven.output) == (0, f"{sequence}: job_queued\n")
    again = await asyncio.to_thread(runner.invoke, app, ["dlq", "redrive", str(sequence)])
    assert (again.exit_code, "dead_letter_unknown" in again.output) == (1, True)
    both = await asyncio.to_thread(runner.invoke, app, ["dlq", "redrive", "1", "--county", "kitsap"])
    assert both.exit_code == 1
    await sweep(relay, office.sender, older_than=timedelta(0))

    async def failed_again() -> bool:
        return len(await list_dead_letters(office.jetstream, "kitsap", 5)) == 1

    await eventually(failed_again, "the job has failed again")
