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
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from faststream import BaseMiddleware
from faststream.exceptions import HandlerException
from nats.js.client import JetStreamContext
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from chassis.bus import publish
from chassis.errors import PermanentError
from chassis.outbox import to_message
from chassis.telemetry import DEAD_LETTERS
from contracts.events.chassis import DeadLettered
from contracts.subjects import county_of

log = logging.getLogger(__name__)
tracer = trace.get_tracer("terrafusion.bus")


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

    def wait_seconds(self, tries: int) -> float:
        """How long to wait after so many tries: doubling, with jitter, at most a minute."""
        base: float = self.retry_delay.total_seconds() * 2 ** max(tries - 1, 0)
        return min(base, 60.0) * random.uniform(0.8, 1.2)

    def middleware(self) -> type[BaseMiddleware]:
        """The FastStream middleware that treats messages so."""
        return type("DeliveryMiddleware", (_DeliveryMiddleware,), {"deliveries": self})

    async def dead_letter(self, message: Any, error: Exception) -> None:
        """Keep a message that cannot be handled, with its reason and origin."""
        raw = message.raw_message
        body, encoding = _as_text(raw.data)
        code = getattr(error, "code", "message_invalid" if isinstance(error, ValidationError) else "internal_error")
        event = DeadLettered(
            county=county_of(raw.subject),
            occurred_at=datetime.now(UTC),
            service=self.service,
            original_subject=raw.subject,
            original_headers={k: v for k, v in (raw.headers or {}).items() if not k.lower().startswith("nats-")},
            original_body=body,
            original_body_encoding=encoding,
            code=code,
            reason=_reason(error),
            deliveries=raw.metadata.num_delivered,
        )
        letter = to_message(event, service=self.service)
        metadata = raw.metadata
        identity = f"dlq-{metadata.stream}-{metadata.consumer}-{metadata.sequence.stream}"
        assert self.jetstream is not None
        await publish(self.jetstream, letter.subject, letter.body.encode(), {**letter.headers, "Nats-Msg-Id": identity})
        DEAD_LETTERS.labels(self.service, code).inc()
        log.error("dead letter", extra={"subject": raw.subject, "code": code})


class _DeliveryMiddleware(BaseMiddleware):
    deliveries: ClassVar[Deliveries]

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        raw = getattr(msg, "raw_message", None)
        if not getattr(raw, "reply", "").startswith("$JS.ACK"):
            return await call_next(msg)  # core NATS: queries and cancel signals
        with tracer.start_as_current_span(
            f"process {msg.raw_message.subject.rpartition('.')[0]}",
            context=extract(dict(raw.headers or {})) if raw else None,
            kind=SpanKind.CONSUMER,
            attributes={"messaging.system": "nats", "messaging.destination.name": msg.raw_message.subject},
        ):
            return await self._treat(call_next, msg)

    async def _treat(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        beat = asyncio.create_task(self._beat(msg))
        tries = msg.raw_message.metadata.num_delivered
        try:
            result = await call_next(msg)
            await msg.ack()
        except RetryLaterError as error:
            await msg.nack(delay=error.wait_seconds)
        except HandlerException:
            raise
        except asyncio.CancelledError:
            await self._cancelled(msg)
        except (ValidationError, PermanentError) as error:
            await self._bury(msg, error)
        except Exception as error:  # noqa: BLE001 a message must never vanish, whatever went wrong
            if tries >= self.deliveries.attempts:
                await self._bury(msg, error)
            else:
                log.warning("message will be tried again", extra={"tries": tries, "reason": repr(error)})
                await msg.nack(delay=self.deliveries.wait_seconds(tries))
        else:
            return result
        finally:
            beat.cancel()
        return None

    async def _beat(self, msg: Any) -> None:
        while True:
            await asyncio.sleep(self.deliveries.beat_seconds)
            with contextlib.suppress(Exception):
                await msg.in_progress()

    async def _bury(self, msg: Any, error: Exception) -> None:
        try:
            await self.deliveries.dead_letter(msg, error)
        except Exception as trouble:  # noqa: BLE001 as above
            log.warning("the dead letter waits for the bus", extra={"reason": repr(trouble)})
            await msg.nack(delay=self.deliveries.wait_seconds(1))
        else:
            await msg.reject()

    async def _cancelled(self, msg: Any) -> None:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            with contextlib.suppress(Exception):
                await msg.nack(delay=0.1)  # shutting down: another worker may have it
            raise asyncio.CancelledError
        await msg.nack(delay=self.deliveries.wait_seconds(1))  # an inner task was cancelled; ours goes on


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
    return str(error)[:500] or type(error).__name__
