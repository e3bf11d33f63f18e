"""The connection to NATS, and the broker that FastStream subscribers hang on."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any

import nats
from faststream import AckPolicy
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

PUBLISH_WAIT_SECONDS = 5.0
JOBS_STREAM = "JOBS"
FACTS_STREAM = "FACTS"


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


class Sender:
    """Publishes to streams without waiting for each acknowledgement: one inbox takes them all."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[bool]] = {}
        self._numbers = itertools.count()

    async def send(self, subject: str, body: bytes, headers: dict[str, str]) -> "asyncio.Future[bool]":
        """Hand a message to the connection, in the order of the calls.

        The future is the stream's acknowledgement: true where it had the message already. Whoever has waited for long
        enough cancels it; the message may or may not be there, its `Nats-Msg-Id` sorts it out.
        """
        if self._subscription is None:
            await self._listen()
        number = str(next(self._numbers))
        acknowledgement: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[number] = acknowledgement
        acknowledgement.add_done_callback(lambda _: self._waiting.pop(number, None))
        try:
            await self._client.publish(subject, body, reply=f"{self._inbox}.{number}", headers=headers)
        except BaseException:
            acknowledgement.cancel()
            raise
        return acknowledgement

    async def _listen(self) -> None:
        async with self._subscribing:
            if self._subscription is None:
                self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._hear)

    async def _hear(self, message: Msg) -> None:
        acknowledgement = self._waiting.get(message.subject.rpartition(".")[2])
        if acknowledgement is None or acknowledgement.done():
            return
        if not message.data:  # the server's own answer: nobody keeps the subject
            acknowledgement.set_exception(NoStreamResponseError())
            return
        answer = json.loads(message.data)
        if "error" in answer:
            acknowledgement.set_exception(APIError.from_error(answer["error"]))
        else:
            acknowledgement.set_result(bool(answer.get("duplicate")))
