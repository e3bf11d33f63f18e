"""Messages that could not be handled: look at them, and send them back once their cause is mended."""

import base64
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError as NoMessageError

from chassis import queries
from chassis.bus import publish
from chassis.database import Database
from chassis.errors import NotFoundError, PermanentError
from chassis.middleware import DEAD_LETTER_IDS
from chassis.outbox import derived_id
from chassis.requests import job_requested
from contracts.events.chassis import DeadLettered

DEADLETTER_STREAM = "DEADLETTER"
_FETCH = 256


class Redriven(StrEnum):
    """What a redrive came to."""

    JOB_QUEUED = "job_queued"
    MESSAGE_PUBLISHED = "message_published"
    NOTHING_TO_DO = "nothing_to_do"


@dataclass(frozen=True)
class StoredLetter:
    """A dead letter and its place in the stream."""

    sequence: int
    letter: DeadLettered


async def list_dead_letters(jetstream: JetStreamContext, county: str | None, limit: int) -> list[StoredLetter]:
    """The newest dead letters of a county, or of all, newest first."""
    subscription = await jetstream.pull_subscribe(
        f"dlq.*.{county or '*'}",
        stream=DEADLETTER_STREAM,
        config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=5),
    )
    waiting = (await subscription.consumer_info()).num_pending or 0
    newest: deque[StoredLetter] = deque(maxlen=limit)
    while waiting > 0:
        messages = await subscription.fetch(min(_FETCH, waiting), timeout=5)
        waiting -= len(messages)
        newest.extend(
            StoredLetter(m.metadata.sequence.stream, DeadLettered.model_validate_json(m.data)) for m in messages
        )
    await subscription.unsubscribe()
    return list(reversed(newest))


async def redrive(database: Database, jetstream: JetStreamContext, sequence: int) -> Redriven:
    """Send a dead letter's message back to where it came from, and drop the letter.

    A job is queued again and asked for anew. Any other message goes back to its subject with its own event id,
    by which those who had handled it know it again. Interrupted or repeated, it has its effect once.

    Raises:
        NotFoundError: `dead_letter_unknown`: there is no such letter, or it was redriven before.
    """
    letter = await _read(jetstream, sequence)
    if letter.job_id is not None:
        outcome = await _queue_job(database, letter)
    else:
        outcome = await _publish_again(jetstream, letter, sequence)
    await jetstream.delete_msg(DEADLETTER_STREAM, sequence)
    return outcome


async def _read(jetstream: JetStreamContext, sequence: int) -> DeadLettered:
    try:
        message = await jetstream.get_msg(DEADLETTER_STREAM, sequence)
    except NoMessageError as error:
        raise NotFoundError("dead_letter_unknown", f"there is no dead letter {sequence}") from error
    return DeadLettered.model_validate_json(message.data or b"")


async def _queue_job(database: Database, letter: DeadLettered) -> Redriven:
    """Only a job that is still failed: it may have been retried, or even have succeeded, since."""
    assert letter.job_id is not None
    async with database.begin(letter.county) as unit:
        job = await queries.read_job(unit.connection, letter.county, letter.job_id)
        if job is None or job["status"] != "failed":
            return Redriven.NOTHING_TO_DO
        row = await queries.restart_job(unit.connection, letter.county, letter.job_id)
        if row is None:
            return Redriven.NOTHING_TO_DO
        unit.publish_message(job_requested(row, service=database.service))
    return Redriven.JOB_QUEUED


async def _publish_again(jetstream: JetStreamContext, letter: DeadLettered, sequence: int) -> Redriven:
    if letter.original_subject.startswith("dlq."):
        raise PermanentError("dead_letter_of_dead_letter", "a dead letter is not sent back to the dead letters")
    body = letter.original_body.encode()
    if letter.original_body_encoding == "base64":
        body = base64.b64decode(letter.original_body)
    headers = {name: value for name, value in letter.original_headers.items() if not name.lower().startswith("nats-")}
    # The stream still remembers the first id; this one is the letter's, so that a repetition is recognised.
    identity = derived_id(DEAD_LETTER_IDS, f"redrive:{sequence}:{letter.occurred_at.isoformat()}")
    await publish(jetstream, letter.original_subject, body, headers | {"Nats-Msg-Id": str(identity)})
    return Redriven.MESSAGE_PUBLISHED
