"""What happens around every message: trace, heartbeat, delayed retry, dead letter.

FastStream's defaults drop a failed message (reject) or try it again at full speed (nack without delay); a
cancellation that escapes kills a subscriber silently. Here every message is acknowledged, returned with a delay,
or dead-lettered with its reason.
"""

import asyncio
import base64
import contextlib
import logging
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from faststream import BaseMiddleware
from nats.js.client import JetStreamContext
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from chassis.bus import publish
from chassis.errors import PermanentError, TerraFusionError
from chassis.outages import is_outage
from chassis.outbox import derived_id, to_message
from chassis.telemetry import DEAD_LETTERS
from contracts.events.chassis import DeadLettered
from contracts.subjects import COUNTY_PATTERN, county_of

log = logging.getLogger(__name__)
tracer = trace.get_tracer("terrafusion.bus")
DEAD_LETTER_IDS = UUID("5b1f2f4e-6d0c-5a54-9a3e-3f6c9d1c7f10")  # namespace: one id for each message given up on


class RetryLaterError(Exception):
    """A handler asks for the message again after a while."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"again in {wait_seconds:.1f} s")
        self.wait_seconds = wait_seconds


class Deliveries:
    """How one service treats its messages."""

    def __init__(self, *, service: str, beat: timedelta, attempts: int, retry_delay: timedelta) -> None:
        self.service = service
        self.beat_seconds = beat.total_seconds()
        self.attempts = attempts
        self.retry_delay = retry_delay
        self.jetstream: JetStreamContext | None = None
        self.tasks: set[asyncio.Task[Any]] = set()  # that treat a message right now

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Count the current task among those that a shutdown waits for."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            yield
        finally:
            self.tasks.discard(task)

    def wait_seconds(self, tries: int) -> float:
        """How long to wait after so many tries: doubling, with jitter, at most a minute."""
        base: float = self.retry_delay.total_seconds() * 2 ** min(max(tries - 1, 0), 16)
        return min(base, 60.0) * random.uniform(0.8, 1.2)

    def middleware(self) -> type[BaseMiddleware]:
        """The FastStream middleware that treats messages so."""
        return type("DeliveryMiddleware", (_DeliveryMiddleware,), {"deliveries": self})

    async def dead_letter(self, raw: Any, error: Exception) -> None:
        """Keep a message that cannot be handled, with its reason and origin."""
        body, encoding = _as_text(raw.data)
        code = getattr(error, "code", "message_invalid" if isinstance(error, ValidationError) else "internal_error")
        metadata = raw.metadata
        event = DeadLettered(
            county=_county_of(raw.subject),
            occurred_at=datetime.now(UTC),
            service=self.service,
            original_subject=raw.subject,
            original_headers={k: v for k, v in (raw.headers or {}).items() if not k.lower().startswith("nats-")},
            original_body=body,
            original_body_encoding=encoding,
            code=code,
            reason=_reason(error),
            deliveries=metadata.num_delivered,
        )
        origin = f"{metadata.stream}:{metadata.consumer}:{metadata.sequence.stream}:{metadata.timestamp.isoformat()}"
        letter = to_message(event, service=self.service, event_id=str(derived_id(DEAD_LETTER_IDS, origin)))
        assert self.jetstream is not None
        await publish(self.jetstream, letter.subject, letter.body.encode(), letter.headers)
        DEAD_LETTERS.labels(self.service, code).inc()
        log.error("dead letter", extra={"subject": raw.subject, "code": code})


class _DeliveryMiddleware(BaseMiddleware):
    deliveries: ClassVar[Deliveries]

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        raw = msg.raw_message
        if not _is_from_stream(raw):
            return await _answer(call_next, msg)  # core NATS: queries and cancel signals
        with (
            tracer.start_as_current_span(
                f"process {raw.subject.rpartition('.')[0]}",
                context=extract(dict(raw.headers or {})),
                kind=SpanKind.CONSUMER,
                attributes={"messaging.system": "nats", "messaging.destination.name": raw.subject},
            ),
            self.deliveries.at_work(),
        ):
            return await self._treat(call_next, msg)

    async def _treat(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        raw = msg.raw_message
        beat = asyncio.create_task(self._beat(raw))
        try:
            await _parse(msg)
            result = await call_next(msg)
        except RetryLaterError as error:
            await _tell(raw.nak(delay=error.wait_seconds))
        except asyncio.CancelledError:
            await self._cancelled(raw)
        except (ValidationError, PermanentError) as error:
            await self._bury(raw, error)
        except Exception as error:  # noqa: BLE001 a message must never vanish, whatever went wrong
            await self._failed(raw, error)
        else:
            await _tell(raw.ack())
            return result
        finally:
            beat.cancel()
        return None

    async def _beat(self, raw: Any) -> None:
        while True:
            await asyncio.sleep(self.deliveries.beat_seconds)
            with contextlib.suppress(Exception):
                await raw.in_progress()

    async def _failed(self, raw: Any, error: Exception) -> None:
        """Try again, for ever through an outage: it is not the message's fault."""
        tries = raw.metadata.num_delivered
        if tries >= self.deliveries.attempts and not is_outage(error):
            await self._bury(raw, error)
            return
        log.warning("message will be tried again", extra={"tries": tries, "reason": type(error).__name__})
        await _tell(raw.nak(delay=self.deliveries.wait_seconds(tries)))

    async def _bury(self, raw: Any, error: Exception) -> None:
        try:
            await self.deliveries.dead_letter(raw, error)
        except Exception as trouble:  # noqa: BLE001 as above
            log.warning("the dead letter waits for the bus", extra={"reason": type(trouble).__name__})
            await _tell(raw.nak(delay=self.deliveries.wait_seconds(1)))
        else:
            await _tell(raw.term())

    async def _cancelled(self, raw: Any) -> None:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            await _tell(raw.nak(delay=0.5))  # shutting down: another worker may have it, once it is handed back
            raise asyncio.CancelledError
        await _tell(raw.nak(delay=self.deliveries.wait_seconds(1)))  # an inner task was cancelled; ours goes on


async def _answer(call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
    """What the handler says, else a problem `{"code", "detail"}`: who asks must never wait for nothing."""
    try:
        await _parse(msg)
        return await call_next(msg)
    except ValidationError as error:
        return {"code": "query_invalid", "detail": _reason(error)}
    except TerraFusionError as error:
        return {"code": error.code, "detail": error.message}
    except Exception as error:
        log.exception("a query failed", extra={"subject": msg.raw_message.subject, "reason": type(error).__name__})
        return {"code": "internal_error", "detail": "the query could not be answered"}


async def _parse(msg: Any) -> None:
    """Decode the body here, where a broken one is told from a failure of the handler."""
    try:
        await msg.decode()
    except (ValueError, RecursionError) as error:
        raise PermanentError("message_invalid", "the body is not what its content type says") from error


def _is_from_stream(raw: Any) -> bool:
    return str(getattr(raw, "reply", "")).startswith("$JS.ACK")


async def _tell(answer: Awaitable[Any]) -> None:
    """Answer the stream; where the bus is away the message comes again, which is harmless."""
    try:
        await answer
    except Exception as error:  # noqa: BLE001 whatever it was, the message itself has been dealt with
        log.warning("the stream was not told", extra={"reason": type(error).__name__})


def _county_of(subject: str) -> str:
    """The county of a subject, or `unknown` where the subject is not of our grammar either."""
    county = county_of(subject)
    return county if re.fullmatch(COUNTY_PATTERN, county) else "unknown"


def _as_text(body: bytes) -> tuple[str, str]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"


def _reason(error: Exception) -> str:
    """What was wrong, without the values that were: they may be personal data."""
    if isinstance(error, ValidationError):
        places = (".".join(str(part) for part in e["loc"]) + ": " + e["msg"] for e in error.errors())
        return "; ".join(places)[:500]
    return error.message[:500] if isinstance(error, TerraFusionError) else type(error).__name__
