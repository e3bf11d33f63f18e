import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from services.gateway.event_hub import QUEUE_EVENTS, Follower, JobFactSaid
from tests.support.gateways import GatewayUnderTest
from tests.support.jobs import Office
from tests.support.waiting import eventually

Client = Callable[[str], Awaitable[httpx.AsyncClient]]


@dataclass(frozen=True)
class Received:
    id: int
    name: str
    data: dict[str, Any]


async def events(
    client: httpx.AsyncClient, job_id: str, *, after: int | None = None, stop_after: int = 10_000
) -> list[Received]:
    """What the stream says up to its own end, or until so many events came."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    found: list[Received] = []
    fields: dict[str, str] = {}
    async with client.stream("GET", f"/api/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                fields[name] = value
            elif not line and "data" in fields:
                found.append(Received(int(fields["id"]), fields["event"], json.loads(fields["data"])))
                fields = {}
                if len(found) == stop_after:
                    return found
    return found


async def run(client: httpx.AsyncClient, wish: str = "succeed") -> str:
    body = {"county": "benton", "parameters": {"segments": [wish]}}
    return str((await client.post("/api/v1/market/run", json=body)).json()["id"])


async def test_events_of_a_job_that_is_on_its_way(client_of: Client, worker: None) -> None:
    client = await client_of("ann")
    job_id = await run(client)
    found = await asyncio.wait_for(events(client, job_id), 20)
    assert [event.name for event in found] == ["requested", "started", "progressed", "succeeded"]
    assert [event.id for event in found] == sorted({event.id for event in found})
    assert {event.data["job_id"] for event in found} == {job_id}
    assert found[-1].data["result"] == {"segments": 1}


async def test_events_of_a_job_that_has_ended(client_of: Client, worker: None, office: Office) -> None:
    client = await client_of("ann")
    job_id = await run(client, "fail")
    await office.ended(UUID(job_id))
    await office.outbox_is_empty()
    found = await asyncio.wait_for(events(client, job_id), 20)
    assert [event.name for event in found] == ["requested", "started", "failed"]


async def test_a_stream_resumes_after_the_last_event(client_of: Client, worker: None, office: Office) -> None:
    client = await client_of("ann")
    job_id = await run(client)
    whole = await asyncio.wait_for(events(client, job_id), 20)
    await office.outbox_is_empty()
    for place, event in enumerate(whole[:-1]):
        rest = await asyncio.wait_for(events(client, job_id, after=event.id), 20)
        assert rest == whole[place + 1 :]
    done = await client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(whole[-1].id)})
    assert done.status_code == 204


async def test_a_client_that_breaks_off_and_resumes_misses_nothing(client_of: Client, worker: None) -> None:
    client = await client_of("ann")
    job_id = await run(client, "wait")
    first = await asyncio.wait_for(events(client, job_id, stop_after=2), 20)
    resumed = asyncio.create_task(events(client, job_id, after=first[-1].id))
    assert (await client.post(f"/api/v1/jobs/{job_id}/cancel")).status_code == 202
    rest = await asyncio.wait_for(resumed, 20)
    assert [event.name for event in [*first, *rest]][-2:] == ["cancel_requested", "cancelled"]
    ids = [event.id for event in [*first, *rest]]
    assert ids == sorted(set(ids))


async def test_a_restarted_job_is_followed_through_its_first_ending(
    client_of: Client, worker: None, office: Office
) -> None:
    client = await client_of("ann")
    job_id = await run(client, "fail")
    await office.ended(UUID(job_id))
    await client.post(f"/api/v1/jobs/{job_id}/retry")
    await eventually(lambda: _attempt(office, job_id, 2), "the second attempt has ended")
    await office.outbox_is_empty()
    found = await asyncio.wait_for(events(client, job_id), 20)
    assert [event.name for event in found] == ["requested", "started", "failed"] * 2


async def _attempt(office: Office, job_id: str, attempt: int) -> bool:
    row = await office.job(UUID(job_id))
    return row["attempt"] == attempt and row["finished_at"] is not None


async def test_many_clients_follow_one_job(client_of: Client, worker: None) -> None:
    client = await client_of("ann")
    job_id = await run(client, "wait")
    following = [asyncio.create_task(events(client, job_id)) for _ in range(30)]
    await asyncio.wait_for(events(client, job_id, stop_after=2), 20)
    await client.post(f"/api/v1/jobs/{job_id}/cancel")
    found = await asyncio.wait_for(asyncio.gather(*following), 30)
    assert {tuple(event.name for event in each)[-1] for each in found} == {"cancelled"}
    assert len({tuple(event.id for event in each) for each in found}) == 1


async def test_a_stream_ends_although_the_ending_never_came_over_the_bus(client_of: Client, office: Office) -> None:
    client = await client_of("ann")
    body = {"county": "benton", "parameters": {"scope": {"all": True}}}
    job_id = (await client.post("/api/v1/valuation/run", json=body)).json()["id"]
    following = asyncio.create_task(events(client, job_id))
    async with office.database.begin("benton") as unit:
        await unit.connection.execute(
            "UPDATE chassis.job SET status = 'failed', finished_at = now() WHERE id = $1", UUID(job_id)
        )
    assert [event.name for event in await asyncio.wait_for(following, 20)] == ["requested"]


async def test_replays_leave_no_consumer_behind(client_of: Client, worker: None, office: Office) -> None:
    client = await client_of("ann")
    job_id = await run(client)
    for _ in range(5):
        await asyncio.wait_for(events(client, job_id), 20)

    async def only_durables() -> bool:
        found = await office.jetstream.consumers_info("JOBS")
        return all(consumer.config.durable_name for consumer in found)

    assert await eventually(only_durables, "the replays' consumers are gone")


async def test_a_made_up_last_event_id_is_refused(client_of: Client) -> None:
    client = await client_of("ann")
    job_id = await run(client)
    answer = await client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "-1; DROP"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "last_event_id_invalid"


def test_a_client_that_is_too_slow_is_dropped() -> None:
    follower = Follower()
    for sequence in range(QUEUE_EVENTS):
        follower.offer(JobFactSaid(sequence, "progressed", "{}"))
    assert not follower.dropped
    follower.offer(JobFactSaid(QUEUE_EVENTS, "progressed", "{}"))
    assert follower.dropped
    assert follower.waiting.qsize() == QUEUE_EVENTS


async def test_messages_that_the_stream_did_not_republish_are_not_events(
    client_of: Client, office: Office, gateway: GatewayUnderTest
) -> None:
    client = await client_of("ann")
    job_id = await run(client)
    for headers in ({"ce-subject": job_id}, {"ce-subject": job_id, "Nats-Sequence": "x"}, {}):
        await office.client.publish("job.market.succeeded", b"{}", headers=headers or None)
    [first] = await asyncio.wait_for(events(client, job_id, stop_after=1), 20)
    assert first.name == "requested"
