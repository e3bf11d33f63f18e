"""Taking runs back: after it everything is as before them, to the byte."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4
from zlib import crc32

import pytest
import pytest_asyncio

from chassis.counties import load_county
from chassis.database import Database
from chassis.errors import ConflictError, NotFoundError
from chassis.settings import REPOSITORY
from services.ingest.domain.envelopes import Run
from services.ingest.record.undo import take_back
from tests.support.hand_landed import HandLanded
from tests.support.mappings import county_pair
from tests.support.small_pacs import mutate, small_pacs

COUNTY = load_county(REPOSITORY / "deploy" / "counties", "synthetic_wa")


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


async def undo(hand: HandLanded, run: Run, *, cascade: bool = False) -> dict[str, Any]:
    async with hand.database.begin(hand.county.county) as unit:
        result = await take_back(
            unit, hand.pair, run.operation_id, county_file=hand.county, by=uuid4(), cascade=cascade
        )
    hand.sequence += 1
    return result


async def add_range(hand: HandLanded, table: str, number: int, keys: str) -> None:
    """A range with a digest, and the landed rows that were read in it."""
    async with hand.database.begin(hand.county.county) as unit:
        named = (hand.county.county, hand.pair.pair, table, number)
        await unit.connection.execute(
            "INSERT INTO ingest.sync_range (county, pair, source_table, number, digest)"
            " VALUES ($1, $2, $3, $4, '1:2:3')",
            *named,
        )
        await unit.connection.execute(
            "UPDATE ingest.source_row SET range_number = $4 WHERE county = $1 AND pair = $2 AND source_table = $3"
            " AND key ~ $5",
            *named,
            keys,
        )


async def test_an_undone_load_leaves_nothing(hand: HandLanded) -> None:
    run, _, _ = await hand.land(small_pacs())
    await add_range(hand, "situs", 1, "")
    await hand.said("")
    result = await undo(hand, run)
    assert (result["parcels"], result["sales"]) == (0, 0)
    assert all(rows == [] for rows in (await hand.state()).values())
    for table in ("sync_table", "sync_range"):
        assert await hand.fetch(f"SELECT 1 FROM ingest.{table} WHERE pair = $1", hand.pair.pair) == []
    (pair,) = await hand.fetch("SELECT status, sequence FROM ingest.sync_pair WHERE pair = $1", hand.pair.pair)
    assert (pair["status"], pair["sequence"]) == ("held", 2)
    said = await hand.said("")
    assert not [row for row in said if row["subject"].startswith("cdc.")], "a load told in one is taken back in one"
    assert {row["subject"].rsplit(".", 1)[0] for row in said} == {"parcel.removed", "sale.removed", "sync.undone"}


async def test_a_load_after_a_load_is_undone_alone(hand: HandLanded) -> None:
    await hand.land(small_pacs(4))
    before = await hand.state()
    run, _, _ = await hand.land(small_pacs(9))
    assert await hand.state() != before
    await undo(hand, run)
    assert await hand.state() == before


async def test_an_undone_edit_tells_the_opposite(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    await add_range(hand, "property_val", 1, "/[1-3]$")
    await add_range(hand, "property_val", 2, "/[4-7]$")
    before = await hand.state()
    await hand.said("")
    edited = json.loads(json.dumps(tables))
    edited["property_val"][1]["assessed_val"] = 77
    edited["sale"].pop(3)
    edited["situs"].append({"prop_id": 1, "situs_id": 2, "primary_situs": "N", "situs_num": "9"})
    run, _, _ = await hand.land(edited)
    done = await hand.said("cdc.", "parcel.", "sale.")
    result = await undo(hand, run)
    undone = await hand.said("")
    assert await hand.state() == before
    facts = [row for row in undone if row["subject"].startswith("sync.undone")]
    assert [row["body"]["undone_operation_ids"] for row in facts] == [[str(run.operation_id)]]
    assert (result["rows"], result["events"]) == (3, len(undone))
    opposite = {"c": "d", "d": "c", "u": "u"}
    assert _changes(undone) == {(subject, opposite[op], after, before) for subject, op, before, after in _changes(done)}
    parcel = next(row["body"] for row in undone if row["subject"].startswith("parcel.changed"))
    assert (parcel["before"], parcel["after"]) == ({"total_value_usd": 77.0}, {"total_value_usd": 2000.0})
    ranges = await hand.fetch(
        "SELECT number, digest FROM ingest.sync_range WHERE pair = $1 ORDER BY number", hand.pair.pair
    )
    assert ranges == [{"number": 1, "digest": None}, {"number": 2, "digest": "1:2:3"}]


def _changes(said: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    bodies = [(row["subject"], row["body"]) for row in said if row["subject"].startswith("cdc.")]
    return {(subject, b["op"], json.dumps(b["before"]), json.dumps(b["after"])) for subject, b in bodies}


async def test_what_later_runs_touched_is_undone_with_them_or_not_at_all(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    before = await hand.state()
    runs = []
    for row, value in ((1, 70), (2, 71), (1, 72)):
        tables["property_val"][row]["assessed_val"] = value
        run, _, _ = await hand.land(tables)
        runs.append(run)
    first, other, last = runs
    with pytest.raises(ConflictError) as refusal:
        await undo(hand, first)
    assert (refusal.value.code, refusal.value.details) == (
        "undo_touched_later",
        {"operations": [str(last.operation_id)]},
    )
    result = await undo(hand, first, cascade=True)
    assert result["undone"] == [str(last.operation_id), str(first.operation_id)]
    values = await hand.fetch(
        "SELECT total_value_usd::int AS v FROM ingest.parcel_v1 WHERE county = $1 ORDER BY parcel_id",
        hand.county.county,
    )
    assert [row["v"] for row in values][:3] == [1000, 2000, 71]
    with pytest.raises(ConflictError, match="undone already"):
        await undo(hand, last)
    await undo(hand, other)
    assert await hand.state() == before


async def test_an_undoing_is_undone(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    tables["property_val"][1]["assessed_val"] = 77
    run, _, _ = await hand.land(tables)
    after = await hand.state()
    await undo(hand, run)
    (undoing,) = await hand.fetch("SELECT undone_by FROM ingest.sync_operation WHERE id = $1", run.operation_id)
    again = Run(**{**{f: getattr(run, f) for f in run.__slots__}, "operation_id": undoing["undone_by"]})
    await undo(hand, again)
    assert await hand.state() == after
    operations = await hand.fetch(
        "SELECT mode, undone_by IS NULL AS counts FROM ingest.sync_operation WHERE pair = $1 ORDER BY sequence",
        hand.pair.pair,
    )
    assert [(row["mode"], row["counts"]) for row in operations] == [
        ("incremental", True), ("incremental", True), ("undo", False), ("undo", True),
    ]  # fmt: skip


async def test_a_new_year_is_undone(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    before = await hand.state()
    later = small_pacs(year=2027)
    for name in ("prop_supp_assoc", "property_val", "owner", "neighborhood"):
        later[name] = [*tables[name], *later[name]]
    rolled = hand.in_year(2027)
    run, _, _ = await rolled.land(later)
    hand.sequence = rolled.sequence
    await undo(hand, run)
    assert await hand.state() == before


async def test_tokens_go_back_to_where_they_were(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    tables["property_val"][1]["assessed_val"] = 77
    run, _, _ = await hand.land(tables)
    said = {"token_before": "0x0A"}
    details = {"tables": {"property_val": said, "situs": {"rows_read": 1}, "owner": said}}
    async with hand.database.begin(hand.county.county) as unit:
        await unit.connection.execute("UPDATE ingest.sync_table SET token = '0x0F' WHERE pair = $1", hand.pair.pair)
        logged = "UPDATE ingest.sync_table SET reader = 'cdc' WHERE pair = $1 AND source_table = 'owner'"
        await unit.connection.execute(logged, hand.pair.pair)
        await unit.connection.execute(
            "UPDATE ingest.sync_operation SET details = $2 WHERE id = $1", run.operation_id, details
        )
    await undo(hand, run)
    tokens = await hand.fetch(
        "SELECT source_table, token FROM ingest.sync_table WHERE pair = $1 AND source_table = ANY($2) ORDER BY 1",
        hand.pair.pair,
        ["owner", "property_val", "situs"],
    )
    assert [row["token"] for row in tokens] == [None, "0x0A", "0x0F"]


async def test_an_unknown_operation_is_refused(hand: HandLanded) -> None:
    run = hand.next_run()
    with pytest.raises(NotFoundError, match="nothing was ever applied"):
        await undo(hand, run)
    hand.sequence = 0
    await hand.land(small_pacs(1))
    with pytest.raises(NotFoundError, match="no applied operation"):
        await undo(hand, run)
    assert (await hand.fetch("SELECT status FROM ingest.sync_pair WHERE pair = $1", hand.pair.pair)) == [
        {"status": "active"}
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_any_history_is_undone_to_any_point(hand: HandLanded, seed: int) -> None:
    chance = random.Random(seed)
    tables = small_pacs()
    runs, states = [], [await hand.state()]
    for _ in range(6):
        run, _, _ = await hand.land(tables)
        runs.append(run)
        states.append(await hand.state())
        for _ in range(chance.randrange(1, 4)):
            tables = mutate(tables, chance)
    point = chance.randrange(len(runs))
    for run in reversed(runs[point:]):
        await undo(hand, run)
    assert await hand.state() == states[point]


async def test_what_an_open_run_has_landed_of_a_new_table_goes_with_it(hand: HandLanded) -> None:
    rows = small_pacs()
    await hand.land(rows | {"situs": []})
    before = await hand.state()
    run, _, _ = await hand.land(rows | {"situs": [], "sale": rows["sale"][1:]})
    async with hand.database.begin(hand.county.county) as unit:
        await unit.connection.execute(
            "INSERT INTO ingest.source_row (county, pair, source_table, key, digest, image, created_sequence, sequence)"
            " VALUES ($1, $2, 'situs', '1/1', '', '{}', $3, $3)",
            hand.county.county,
            hand.pair.pair,
            hand.sequence + 1,
        )
    await undo(hand, run)
    assert await hand.state() == before
