"""A synchronisation over the bus: asked for as the gateway does, its facts and envelopes on their streams."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis.embedded.nats_server import EmbeddedNats
from chassis.streams import apply_streams
from contracts.events.ingest import KEY_HEADER
from services.ingest.handlers import router
from services.ingest.synthetic.county import apply_changes
from tests.support.jobs import Office, running, settings_for
from tests.support.servers import nats_server as new_nats_server

COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"


@pytest.fixture(scope="module")
def module_nats() -> Iterator[EmbeddedNats]:
    with new_nats_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def following(
    database_url: str, module_nats: EmbeddedNats, legacy: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    await apply_streams(module_nats.url, ack_wait=timedelta(seconds=10))
    storage: Path = tmp_path_factory.mktemp("storage")
    async with (
        Office.open(database_url, module_nats.url) as office,
        running(router, settings_for(office, f"file://{storage}", job_lease=timedelta(seconds=20)), name="ingest"),
    ):
        yield office


async def test_facts_and_envelopes_reach_their_streams(following: Office, legacy: Any) -> None:
    first = await following.ended(await following.submit("sync", COUNTY, pair=PAIR, mode="full"), wait_seconds=60)
    assert first["status"] == "succeeded", first["error"]
    await following.outbox_is_empty()
    loaded = [m.subject for m in await following.messages("FACTS")]
    assert loaded.count(f"sync.snapshot_completed.{COUNTY}") == len(first["result"]["tables"])
    assert await following.messages("CHANGES") == []

    apply_changes(legacy.url, legacy.truth)
    second = await following.ended(
        await following.submit("sync", COUNTY, pair=PAIR, mode="incremental"), wait_seconds=60
    )
    assert second["status"] == "succeeded", second["error"]
    await following.outbox_is_empty()
    facts = [m for m in await following.messages("FACTS") if not m.subject.startswith("sync.")]
    told = sorted((m.subject.rsplit(".", 1)[0], (m.headers or {})["ce-subject"]) for m in facts)
    assert told == sorted((f.subject, f.id) for c in legacy.truth.incremental_changes for f in c.facts)
    envelopes = await following.messages("CHANGES")
    assert len(envelopes) == second["result"]["changes"]
    for message in envelopes:
        headers = message.headers or {}
        assert headers["Nats-Msg-Id"] == headers["ce-id"]
        assert headers["ce-type"] == ".".join(("cdc", *message.subject.split(".")[2:]))
        assert json.loads(message.data)["op"] in {"c", "u", "d"}
        assert headers[KEY_HEADER]
