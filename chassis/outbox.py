"""Events in wire form: CloudEvents 1.0 in the NATS binding's binary mode."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

import uuid_utils
from opentelemetry import trace

from chassis.telemetry import trace_headers
from contracts.events.base import Event
from contracts.subjects import event_type

_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One row of the outbox."""

    id: UUID
    county: str
    subject: str
    headers: dict[str, str]
    body: str


def new_id() -> UUID:
    """A UUIDv7: unique, and in order of time."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def derived_id(namespace: UUID, name: str) -> UUID:
    """The same name always gives the same id, so a repetition is recognised."""
    return uuid5(namespace, name)


def to_message(
    event: Event, *, service: str, event_id: str | None = None, traceparent: str | None = None
) -> OutboxMessage:
    """An event as it will stand on the wire; carries the given trace, else the caller's."""
    identity = UUID(event_id) if event_id else new_id()
    subject = event.subject
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(identity),
        "ce-source": f"/terrafusion/{service}",
        "ce-type": event_type(subject),
        "ce-time": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "content-type": "application/json",
        "Nats-Msg-Id": str(identity),
    }
    if event.subject_id:
        headers["ce-subject"] = header_value(event.subject_id)
    headers |= trace_headers(trace.get_current_span())
    if traceparent:
        headers["traceparent"] = traceparent
    return OutboxMessage(identity, event.county, subject, headers, event.model_dump_json())


def to_json(body: dict[str, Any]) -> str:
    """Compact JSON."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def header_value(value: str) -> str:
    """A header value percent-encoded as the CloudEvents binding asks."""
    return quote(value, safe=_PRINTABLE)
