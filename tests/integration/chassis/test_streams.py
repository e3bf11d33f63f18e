"""The definition of streams and consumers as a server has it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from nats.js.api import StreamConfig
from nats.js.client import JetStreamContext

from chassis.bus import connect
from chassis.streams import DUPLICATE_WINDOW_SECONDS, apply_streams
from contracts.subjects import JobKind
from tests.support.servers import nats_server


@pytest.fixture
async def fresh() -> AsyncIterator[tuple[str, JetStreamContext]]:
    with nats_server() as server:
        client = await connect(server.url, name="test")
        yield server.url, client.jetstream()
        await client.close()


async def snapshot(jetstream: JetStreamContext) -> dict[str, object]:
    streams = {info.config.name: info.config for info in await jetstream.streams_info()}
    consumers = {info.name: info.config for info in await jetstream.consumers_info("JOBS")}
    return {"streams": streams, "consumers": consumers}


async def test_applying_twice_changes_nothing(fresh: tuple[str, JetStreamContext]) -> None:
    url, jetstream = fresh
    await apply_streams(url)
    await jetstream.publish("job.market.requested.benton", b"kept")
    first = await snapshot(jetstream)
    await apply_streams(url)
    assert await snapshot(jetstream) == first
    assert (await jetstream.stream_info("JOBS")).state.messages == 1


async def test_every_kind_has_its_durable_consumer(fresh: tuple[str, JetStreamContext]) -> None:
    url, jetstream = fresh
    await apply_streams(url, ack_wait=timedelta(seconds=7))
    consumers = {info.name: info.config for info in await jetstream.consumers_info("JOBS")}
    assert set(consumers) == {kind.value for kind in JobKind}
    for kind in JobKind:
        config = consumers[kind.value]
        assert config.filter_subject == f"job.{kind.value}.requested.*"
        assert (config.ack_wait, config.max_deliver) == (7, -1)


async def test_a_changed_definition_is_applied(fresh: tuple[str, JetStreamContext]) -> None:
    url, jetstream = fresh
    await jetstream.add_stream(StreamConfig(name="JOBS", subjects=["job.*.*.*"], max_age=60))
    await apply_streams(url, ack_wait=timedelta(seconds=7))
    await apply_streams(url, ack_wait=timedelta(seconds=9))
    config = (await jetstream.stream_info("JOBS")).config
    assert (config.max_age, config.duplicate_window) == (30 * 86_400, DUPLICATE_WINDOW_SECONDS)
    assert (await jetstream.consumer_info("JOBS", "market")).config.ack_wait == 9


@pytest.mark.parametrize(
    ("subject", "stream"),
    [
        ("job.gis_export.requested.benton", "JOBS"),
        ("cdc.benton.pacs.dbo.property_val", "CHANGES"),
        ("parcel.changed.benton", "FACTS"),
        ("sale.recorded.benton", "FACTS"),
        ("owner.changed.benton", "FACTS"),
        ("sync.gap_found.benton", "FACTS"),
        ("valuation.run_promoted.benton", "FACTS"),
        ("dlq.market.benton", "DEADLETTER"),
    ],
)
async def test_every_subject_of_the_grammar_has_its_stream(
    fresh: tuple[str, JetStreamContext], subject: str, stream: str
) -> None:
    url, jetstream = fresh
    await apply_streams(url)
    assert (await jetstream.publish(subject, b"x")).stream == stream
