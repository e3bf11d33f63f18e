"""Applies `deploy/nats/streams.yaml` to a NATS server: the one place that creates streams and consumers."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from chassis.bus import JOBS_STREAM, connect
from chassis.counties import read_yaml
from contracts.subjects import JobFact, JobKind, job_subject

DEFINITION = Path(__file__).resolve().parent.parent / "deploy" / "nats" / "streams.yaml"
DUPLICATE_WINDOW_SECONDS = 600


def definition() -> dict[str, Any]:
    """The streams as the file says, and the consumers: one for each kind of job, and what the file adds."""
    found: dict[str, Any] = read_yaml(DEFINITION)
    return found | {"consumers": [*map(job_consumer, JobKind), *found.get("consumers", ())]}


def job_consumer(kind: JobKind) -> dict[str, str]:
    """The durable consumer that the workers of a kind share."""
    return {
        "stream": JOBS_STREAM,
        "durable": kind.value,
        "filter_subject": job_subject(kind, JobFact.REQUESTED, "*"),
    }


async def apply_streams(url: str, *, replicas: int = 1, ack_wait: timedelta = timedelta(seconds=30)) -> None:
    """Create what is missing and update what differs; safe to run again."""
    client = await connect(url, name="migrate")
    try:
        await apply(client.jetstream(timeout=30), replicas=replicas, ack_wait=ack_wait)
    finally:
        await client.close()


async def apply(jetstream: JetStreamContext, *, replicas: int, ack_wait: timedelta) -> None:
    """The same over an open connection."""
    wanted = definition()
    for stream in wanted["streams"]:
        await _apply_stream(jetstream, _stream_config(stream, replicas))
    for consumer in wanted["consumers"]:
        await jetstream.add_consumer(consumer["stream"], consumer_config(consumer, ack_wait))


async def _apply_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    assert config.name is not None
    try:
        await jetstream.stream_info(config.name)
    except NotFoundError:
        await jetstream.add_stream(config)
    else:
        await jetstream.update_stream(config)


def _stream_config(stream: dict[str, Any], replicas: int) -> StreamConfig:
    republish = stream.get("republish")
    return StreamConfig(
        name=stream["name"],
        description=stream["description"],
        subjects=stream["subjects"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        num_replicas=replicas,
        max_age=timedelta(days=stream["max_age_days"]).total_seconds(),
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        allow_direct=True,
        republish=RePublish(src=republish["source"], dest=republish["destination"]) if republish else None,
    )


def consumer_config(consumer: dict[str, Any], ack_wait: timedelta) -> ConsumerConfig:
    """A durable pull consumer that never gives up on a message: the job's record counts the attempts."""
    return ConsumerConfig(
        durable_name=consumer["durable"],
        filter_subject=consumer["filter_subject"],
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait.total_seconds(),
        max_deliver=-1,
        max_ack_pending=1000,
    )
