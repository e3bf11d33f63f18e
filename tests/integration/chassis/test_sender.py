"""Sending to streams without waiting: acknowledgements find their messages, and nothing is left behind."""

import asyncio
from uuid import uuid4

import pytest
from nats.errors import MaxPayloadError
from nats.js.errors import NoStreamResponseError

from chassis.bus import Sender
from tests.support.jobs import Office


async def test_each_acknowledgement_finds_its_message(office: Office) -> None:
    sender, identity = Sender(office.client), str(uuid4())
    headers = [{"Nats-Msg-Id": identity}, {"Nats-Msg-Id": identity}, {"Nats-Msg-Id": str(uuid4())}]
    sent = [await sender.send("job.market.started.yakima", b"{}", each) for each in headers]
    assert await asyncio.gather(*sent) == [False, True, False]
    assert sender._waiting == {}


async def test_a_subject_that_no_stream_keeps_is_refused(office: Office) -> None:
    sender = Sender(office.client)
    refused = await sender.send("nobody.keeps.this", b"{}", {})
    kept = await sender.send("job.market.started.yakima", b"{}", {})
    with pytest.raises(NoStreamResponseError):
        await refused
    assert await kept is False


async def test_what_the_connection_refuses_waits_for_no_acknowledgement(office: Office) -> None:
    sender = Sender(office.client)
    with pytest.raises(MaxPayloadError):
        await sender.send("job.market.started.yakima", b"x" * (office.client.max_payload + 1), {})
    await asyncio.sleep(0)
    assert sender._waiting == {}


async def test_several_beginners_share_one_inbox(office: Office) -> None:
    sender = Sender(office.client)
    before = len(office.client._subs)
    sent = await asyncio.gather(*(sender.send("job.market.started.yakima", b"{}", {}) for _ in range(20)))
    assert await asyncio.gather(*sent) == [False] * 20
    assert len(office.client._subs) == before + 1
