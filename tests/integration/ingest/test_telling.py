"""Envelopes of landed and staged rows, as they stand in the outbox."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote
from zlib import crc32

import pytest
import pytest_asyncio

from chassis.counties import load_county
from chassis.database import Database
from chassis.settings import REPOSITORY
from contracts.events.ingest import KEY_HEADER, NEW_KEY_HEADER, OLD_KEY_HEADER, ChangedColumn
from services.ingest.domain.envelopes import Run
from services.ingest.record import outgoing, telling
from services.ingest.record.telling import Told, tell_heartbeat, tell_rows, tell_schema_change
from tests.support.hand_landed import HandLanded, ids_of
from tests.support.mappings import county_pair
from tests.support.small_pacs import small_pacs

COUNTY = load_county(REPOSITORY / "deploy" / "counties", "synthetic_wa")
LSN = "0000002700000758{:04x}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service="ingest")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def hand(database: Database, request: pytest.FixtureRequest) -> HandLanded:
    """A pair of its own for each test."""
    name = f"p{crc32(request.node.name.encode())}"
    county = COUNTY.model_copy(update={"county": name})
    return HandLanded(database, county, county_pair().model_copy(update={"pair": name}))


def with_following(hand: HandLanded, **options: Any) -> None:
    following = hand.pair.following.model_copy(update=options)
    hand.pair = hand.pair.model_copy(update={"following": following})


async def test_a_first_load_is_told_in_one_event_a_table(hand: HandLanded) -> None:
    _, _, told = await hand.land(small_pacs())
    said = await hand.said("cdc.", "sync.")
    rows = {row["body"]["source_table"]: row["body"]["rows"] for row in said}
    assert (told, len(said)) == (len(hand.pair.tables), len(hand.pair.tables))
    assert (rows["property_val"], rows["pacs_system"], rows["parcelsandassess"]) == (7, 1, 0)


async def test_every_row_of_a_first_load_has_its_mark_and_id(hand: HandLanded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PAGE_ROWS", 3)
    monkeypatch.setattr(outgoing, "HELD_MESSAGES", 5)
    hand.pair = hand.pair.model_copy(update={"snapshot_events": True})
    tables = {name: rows for name, rows in small_pacs().items() if name in {"property", "situs", "pacs_system"}}
    _, _, told = await hand.land(tables)
    said = await hand.said("cdc.")
    bodies = [row["body"] for row in said]
    assert told == len(set(ids_of(said))) == 15
    assert {body["op"] for body in bodies} == {"r"}
    assert {json.dumps(body["before"]) for body in bodies} == {"null"}
    marks = [body["source"]["snapshot"] for body in bodies if body["source"]["table"] == "situs"]
    assert marks == ["first_in_data_collection", *["true"] * 5, "last_in_data_collection"]
    assert [body["transaction"]["total_order"] for body in bodies] == list(range(1, 16))


async def test_a_deletion_is_followed_by_a_tombstone_where_asked(hand: HandLanded) -> None:
    with_following(hand, tombstones=True, transactions=True)
    tables = small_pacs()
    await hand.land(tables)
    await hand.said("")
    run, _, told = await hand.land(tables | {"situs": tables["situs"][1:]})
    said = [row for row in await hand.said("") if row["subject"].startswith(("cdc.", "sync."))]
    begin, deleted, tombstone, end = said
    assert told == 1
    assert (deleted["body"]["op"], deleted["body"]["after"], tombstone["body"]) == ("d", None, None)
    assert deleted["id"] != tombstone["id"]
    assert tombstone["headers"][KEY_HEADER] == deleted["headers"][KEY_HEADER]
    assert tombstone["headers"]["Nats-Msg-Id"] == str(tombstone["id"])
    assert json.loads(unquote(tombstone["headers"][KEY_HEADER])) == {"prop_id": 1, "situs_id": 1}
    assert (begin["body"]["status"], begin["body"]["id"], begin["body"]["event_count"]) == (
        "BEGIN",
        str(run.sequence),
        None,
    )
    assert end["body"]["data_collections"] == [{"data_collection": "pacs_oltp.dbo.situs", "event_count": 1}]


async def stage_log(hand: HandLanded, run: Run, changes: list[tuple[str, int, dict[str, Any] | None, str]]) -> None:
    """Changes of `situs` as a reader of the log stages them: op, parcel, image, sequence within the commit."""
    async with hand.database.begin(hand.county.county) as unit:
        for place, (op, parcel, image, sequence) in enumerate(changes):
            await unit.connection.execute(
                "INSERT INTO ingest.staged_row (county, pair, run_id, source_table, batch, place, op, key, image, log)"
                " VALUES ($1, $2, $3, 'situs', $4, $5, $6, $7, $8, $9)",
                run.county,
                run.pair.pair,
                run.run_id,
                place // 2,
                place % 2,
                op,
                f"{parcel}/1",
                None if image is None else json.dumps(image),
                {"token": LSN.format(9), "sequence": sequence, "transaction": "00000027:00000758:0009"},
            )


def situs(parcel: int, number: str) -> dict[str, Any]:
    return {"prop_id": parcel, "situs_id": 1, "situs_num": number}


async def test_a_log_is_told_change_by_change_with_key_updates(
    hand: HandLanded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PAGE_ROWS", 2)
    run = hand.next_run()
    one, two, three = (LSN.format(number) for number in (1, 2, 3))
    await stage_log(
        hand,
        run,
        [
            ("c", 5, situs(5, "1"), one),
            ("u", 5, situs(5, "2"), two),
            ("d", 5, None, three),
            ("c", 6, situs(6, "2"), three),
        ],
    )
    async with hand.database.begin(hand.county.county) as unit:
        table = hand.pair.table_by_name["situs"]
        assert await tell_rows(unit, run, [Told(table, "cdc", is_log=True)]) == 4
    said = await hand.said("cdc.")
    bodies = [row["body"] for row in said]
    assert [body["op"] for body in bodies] == ["c", "u", "d", "c"]
    assert [body["before"] and body["before"]["situs_num"] for body in bodies] == [None, "1", "2", None]
    places = [(body["source"]["change_lsn"], body["source"]["event_serial_no"]) for body in bodies]
    assert places == [
        ("00000027:00000758:0001", 1),
        ("00000027:00000758:0002", 2),
        ("00000027:00000758:0003", 1),
        ("00000027:00000758:0003", 2),
    ]
    assert {body["source"]["commit_lsn"] for body in bodies} == {"00000027:00000758:0009"}
    assert json.loads(unquote(said[2]["headers"][NEW_KEY_HEADER])) == {"prop_id": 6, "situs_id": 1}
    assert json.loads(unquote(said[3]["headers"][OLD_KEY_HEADER])) == {"prop_id": 5, "situs_id": 1}
    assert not {NEW_KEY_HEADER, OLD_KEY_HEADER} & (said[0]["headers"].keys() | said[1]["headers"].keys())


async def test_the_same_place_in_the_log_has_the_same_id_in_any_run(hand: HandLanded) -> None:
    ids = []
    for _ in range(2):
        run = hand.next_run()
        await stage_log(hand, run, [("c", 5, situs(5, "1"), LSN.format(1))])
        async with hand.database.begin(hand.county.county) as unit:
            await tell_rows(unit, run, [Told(hand.pair.table_by_name["situs"], "cdc", is_log=True)])
        ids.append(ids_of(await hand.said("cdc.")))
    assert ids[0] == ids[1]


async def test_a_heartbeat_and_a_schema_change_are_said(hand: HandLanded) -> None:
    run = hand.next_run()
    column = ChangedColumn(name="note", jdbc_type=12, type_name="varchar", length=20, position=9, optional=True)
    async with hand.database.begin(hand.county.county) as unit:
        await tell_heartbeat(unit, run)
        await tell_schema_change(unit, run, "situs", kind="ALTER", columns=[column], key=["prop_id", "situs_id"])
    beat, changed = await hand.said("sync.")
    assert beat["body"]["ts_ms"] == int(run.seen_at.timestamp() * 1000)
    (change,) = changed["body"]["tableChanges"]
    assert (change["type"], change["id"]) == ("ALTER", '"pacs_oltp"."dbo"."situs"')
    assert change["table"]["primaryKeyColumnNames"] == ["prop_id", "situs_id"]
    assert change["table"]["columns"][0]["typeName"] == "varchar"
    assert changed["body"]["databaseName"] == "pacs_oltp"
    with_following(hand, heartbeats=False)
    async with hand.database.begin(hand.county.county) as unit:
        await tell_heartbeat(unit, hand.next_run())
    assert await hand.said("sync.") == []


async def test_many_messages_are_left_to_the_sweeper_and_few_leave_at_once(
    hand: HandLanded, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = small_pacs()
    await hand.land(tables)
    for held, kept in ((100, 7), (3, 0)):
        monkeypatch.setattr(outgoing, "HELD_MESSAGES", held)
        for row in tables["situs"]:
            row["situs_num"] += "0"
        run = hand.next_run()
        async with hand.database.begin(hand.county.county) as unit:
            await hand.merge(unit, run, tables)
            await tell_rows(unit, run, [Told(hand.pair.table_by_name["situs"], "hash_diff")])
            assert len(unit.messages) == kept
        assert len(await hand.said("cdc.")) == 7
