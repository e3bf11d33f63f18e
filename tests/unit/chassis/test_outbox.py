"""Events in wire form."""

import json
from datetime import UTC, datetime
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from chassis.outbox import derived_id, header_value, new_id, to_json, to_message
from chassis.requests import job_requested
from chassis.telemetry import trace_id_of
from contracts.events.jobs import JobStarted

JOB = uuid4()
EVENT = JobStarted(county="benton", occurred_at=datetime(2026, 1, 2, tzinfo=UTC), job_id=JOB, kind="sync", attempt=1)


def test_an_event_becomes_a_cloud_event() -> None:
    message = to_message(EVENT, service="ingest")
    assert (message.subject, message.county) == ("job.sync.started.benton", "benton")
    assert message.headers == {
        "ce-specversion": "1.0",
        "ce-id": str(message.id),
        "ce-source": "/terrafusion/ingest",
        "ce-type": "job.sync.started",
        "ce-time": "2026-01-02T00:00:00Z",
        "ce-subject": str(JOB),
        "content-type": "application/json",
        "Nats-Msg-Id": str(message.id),
    }
    assert JobStarted.model_validate_json(message.body) == EVENT


def test_an_event_carries_the_trace_it_was_said_in() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("request") as span:
        headers = to_message(EVENT, service="ingest").headers
    assert trace_id_of(headers["traceparent"]) == f"{span.get_span_context().trace_id:032x}"
    assert trace.get_current_span().get_span_context().is_valid is False


def test_a_given_id_makes_a_repetition_recognisable() -> None:
    event_id = str(derived_id(JOB, "started:1"))
    messages = [to_message(EVENT, service="ingest", event_id=event_id) for _ in range(2)]
    assert {message.headers["Nats-Msg-Id"] for message in messages} == {event_id}
    with pytest.raises(ValueError, match="badly formed"):
        to_message(EVENT, service="ingest", event_id="not-a-uuid")


@given(st.uuids(), st.text(), st.text())
def test_derived_ids_repeat_and_differ(namespace: UUID, one: str, other: str) -> None:
    assert derived_id(namespace, one) == derived_id(namespace, one)
    assert (derived_id(namespace, one) == derived_id(namespace, other)) == (one == other)


def test_new_ids_are_in_order_of_time() -> None:
    ids = [new_id() for _ in range(200)]
    assert ids == sorted(ids)
    assert {made.version for made in ids} == {7}


@given(st.text().filter(lambda text: "\ud800" not in ascii(text)))
def test_a_header_value_is_printable_ascii_and_comes_back(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    encoded = header_value(value)
    assert all(0x21 <= ord(character) <= 0x7E for character in encoded)
    assert '"' not in encoded
    assert unquote(encoded) == value


def test_a_body_is_compact_and_keeps_its_letters() -> None:
    body = {"name": "Peña Näme", "n": 1.5}
    assert to_json(body) == '{"name":"Peña Näme","n":1.5}'
    assert json.loads(to_json(body)) == body


def test_a_jobs_first_command_has_the_jobs_id_and_a_later_one_its_own() -> None:
    row = {
        "county": "benton",
        "id": JOB,
        "kind": "market",
        "attempt": 0,
        "parameters": {},
        "requested_by": "someone",
        "priority": "normal",
        "deadline": None,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    assert job_requested(row, service="gateway", first=True).id == JOB
    again = job_requested(row, service="relay")
    assert again.id != JOB
    assert again.headers["traceparent"] == row["traceparent"]
    assert again.subject == "job.market.requested.benton"
