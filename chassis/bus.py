"""The connection to NATS, and the broker that FastStream subscribers hang on."""

from collections.abc import Sequence
from typing import Any

import nats
from faststream import AckPolicy
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.client import JetStreamContext

PUBLISH_WAIT_SECONDS = 5.0
JOBS_STREAM = "JOBS"


async def connect(url: str, *, name: str) -> Client:
    """A connection that comes back by itself for as long as the process lives."""
    return await nats.connect(
        url,
        name=f"terrafusion {name}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        connect_timeout=5,
        error_cb=_ignore,
        disconnected_cb=None,
    )


async def _ignore(error: Exception) -> None:
    """Connection errors show up where a call needs the connection; the client goes on reconnecting."""


def build_broker(url: str, *, name: str, middlewares: Sequence[Any], graceful_seconds: float) -> NatsBroker:
    """A broker whose failed messages are never dropped: the chassis' middleware decides about each."""
    return NatsBroker(
        url,
        name=f"terrafusion {name}",
        ack_policy=AckPolicy.MANUAL,
        graceful_timeout=graceful_seconds,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        middlewares=middlewares,
        logger=None,
    )


async def publish(jetstream: JetStreamContext, subject: str, body: bytes, headers: dict[str, str]) -> bool:
    """Publish and wait for the acknowledgement; true where the stream had it already.

    Raises:
        TimeoutError: no acknowledgement; the message may or may not be there, its `Nats-Msg-Id` sorts it out.
    """
    try:
        acknowledgement = await jetstream.publish(subject, body, headers=headers, timeout=PUBLISH_WAIT_SECONDS)
    except NatsTimeoutError as error:
        raise TimeoutError(f"no acknowledgement for {subject}") from error
    return bool(acknowledgement.duplicate)
