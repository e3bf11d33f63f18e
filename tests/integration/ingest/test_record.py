"""The canonical record out of landed rows: whole or in part, in one batch or many."""

import json
import random
from collections.abc import AsyncIterator
from zlib import crc32

import polars as pl
import pytest
import pytest_asyncio

from chassis.counties import load_county
from chassis.database import Database
from chassis.settings import REPOSITORY
from contracts.events.ingest import MASK
from contracts.mapping import ColumnType, Link, SourceTable
from services.ingest.domain.reach import Needed
from services.ingest.record import landed
from tests.support.hand_landed import HandLanded
from tests.support.mappings import county_pair
from tests.support.small_pacs import Tables, mutate, small_pacs

COUNTY = load_county(REPOSITORY / "deploy" / "counties", "synthetic_wa")
FACTS = ("parcel.", "sale.", "owner.")


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


async def test_the_record_is_the_same_in_one_batch_or_many(hand: HandLanded) -> None:
    _, renewed, _ = await hand.land(small_pacs(), batch_parcels=100)
    assert (renewed.parcels, renewed.sales, renewed.facts) == (7, 7, 0)
    whole = await hand.state()
    assert len(whole["owner"]) == 7
    for batch in (1, 2, 3):
        _, renewed, _ = await hand.land(small_pacs(), batch_parcels=batch, is_whole=True)
        assert (renewed.facts, renewed.parcels_touched, renewed.is_whole) == (0, 7, True)
        assert await hand.state() == whole


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_renewed_for_changed_rows_is_all_that_changed(hand: HandLanded, seed: int) -> None:
    chance = random.Random(seed)
    tables = small_pacs()
    await hand.land(tables)
    for _ in range(8):
        for _ in range(chance.randrange(1, 4)):
            tables = mutate(tables, chance)
        _, renewed, _ = await hand.land(tables, batch_parcels=chance.randrange(1, 5))
        assert not renewed.is_whole
        part = await hand.state()
        await hand.said("")
        _, renewed, _ = await hand.land(tables, is_whole=True)
        assert (renewed.facts, await hand.said(*FACTS)) == (0, [])
        assert await hand.state() == part


async def test_names_come_from_where_they_are_kept_and_are_never_told(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    tables["account"][1]["file_as_name"] = "OTHER, Q."
    await hand.land(tables)
    owners = await hand.fetch(
        "SELECT parcel_id, name, mailing_address FROM ingest.owner WHERE owner_id = '1' ORDER BY 1"
    )
    assert {(row["name"], row["mailing_address"]) for row in owners} == {("OTHER, Q.", "PO BOX 1")}
    said = await hand.said("")
    assert "OTHER" not in str(said)
    told = [row["body"] for row in said if row["subject"].startswith("owner.changed")]
    assert [(body["parcel_id"], body["changed_fields"]) for body in told] == [
        (row["parcel_id"], ["name"]) for row in owners
    ]
    (envelope,) = [row["body"] for row in said if row["subject"].endswith("dbo.account")]
    assert (envelope["before"]["file_as_name"], envelope["after"]["file_as_name"]) == (MASK, MASK)


async def test_landed_rows_are_read_as_they_were_written(hand: HandLanded) -> None:
    kinds = {"id": ColumnType.INTEGER, "a": ColumnType.TEXT, "b'c": ColumnType.TEXT, "live": ColumnType.BOOLEAN}
    table = SourceTable(name="o'dd", key=("id",), columns=kinds, links={Link.PARCEL_ID: "id"})
    images = [
        {"id": 1, "a": "", "b'c": None, "live": True},
        {"id": 2, "a": None, "b'c": 'x "y", \\N', "live": False},
        {"id": 10, "a": "two\nlines", "b'c": "NULL", "live": None},
    ]
    async with hand.database.begin(hand.county.county) as unit:
        await unit.connection.executemany(
            "INSERT INTO ingest.source_row (county, pair, source_table, key, digest, image, parcel_id)"
            " VALUES ($1, 'p', $2, $3, '', $4, $3)",
            [(hand.county.county, table.name, str(image["id"]), json.dumps(image)) for image in images],
        )
        needed = Needed(table, tuple(table.columns), None)
        read = await landed.read_rows(unit.connection, hand.county.county, "p", needed)
        nothing = await landed.read_rows(unit.connection, hand.county.county, "other", needed)
    assert read.to_dicts() == [images[0], images[2], images[1]]
    assert (nothing.height, nothing.schema) == (0, read.schema)
    assert read.schema["id"] == pl.Int64


async def test_a_gone_parcel_is_removed_once_and_comes_back(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    without: Tables = tables | {"prop_supp_assoc": tables["prop_supp_assoc"][1:]}
    await hand.land(without)
    assert [row["subject"].rsplit(".", 1)[0] for row in await hand.said(*FACTS)] == ["parcel.removed"]
    await hand.land(tables)
    (back,) = await hand.said("parcel.")
    assert (back["subject"].rsplit(".", 1)[0], back["body"]["changed_fields"]) == ("parcel.changed", ["is_active"])


async def test_many_changes_are_told_in_one(hand: HandLanded) -> None:
    following = hand.pair.following.model_copy(update={"mass_change_rows": 3})
    hand.pair = hand.pair.model_copy(update={"following": following})
    tables = small_pacs()
    await hand.land(tables)
    for row in tables["property_val"]:
        row["assessed_val"] += 1
    tables["sale"][0]["sl_price"] += 1
    _, renewed, _ = await hand.land(tables, batch_parcels=2)
    assert (renewed.is_batched, renewed.facts) == (True, 2)
    said = await hand.said(*FACTS)
    assert sorted(row["subject"].rsplit(".", 1)[0] for row in said) == ["parcel.batch_changed", "sale.changed"]
    batch = next(row["body"] for row in said if row["subject"].startswith("parcel."))
    assert batch["changed_fields"] == {"total_value_usd": 7}
    assert (batch["facts"], batch["removed"], batch["tax_year"]) == (7, 0, 2026)


async def test_a_new_year_renews_everything(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    later = small_pacs(year=2027)
    for name in ("prop_supp_assoc", "property_val", "owner", "neighborhood"):
        later[name] = [*tables[name], *later[name]]
    rolled = hand.in_year(2027)
    _, renewed, _ = await rolled.land(later)
    assert (renewed.is_whole, renewed.parcels) == (True, 7)
    years = await hand.fetch("SELECT DISTINCT tax_year FROM ingest.parcel_v1 WHERE county = $1", hand.county.county)
    assert years == [{"tax_year": 2027}]
    told = await hand.said("parcel.")
    assert len(told) == 7
    assert all("tax_year" in row["body"]["changed_fields"] for row in told)
