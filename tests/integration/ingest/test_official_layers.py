"""Two layers of a year: the working one that a pointer names, and the official one that groups of supplements make."""

from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

import pytest
import pytest_asyncio

from chassis.counties import load_county
from chassis.database import Database
from chassis.settings import REPOSITORY
from contracts.mapping import Pair
from tests.support.hand_landed import HandLanded
from tests.support.mappings import county_pair
from tests.support.small_pacs import Tables, small_pacs

COUNTY = load_county(REPOSITORY / "deploy" / "counties", "synthetic_wa")
SUPPLEMENT = {
    "name": "supplement",
    "key": ["sup_tax_yr", "sup_num"],
    "columns": {"sup_tax_yr": "integer", "sup_num": "integer", "sup_group_id": "integer"},
    "links": {"tax_year": "sup_tax_yr", "supplement": "sup_num"},
}
GROUP = {"name": "sup_group", "key": ["sup_group_id"], "columns": {"sup_group_id": "integer", "status_cd": "text"}}
OFFICIAL = {
    "layers": "property_val",
    "group": "supplement.sup_group_id",
    "status": "sup_group.status_cd",
    "accepted": ["A", "BC"],
}


def official_pair(name: str, **more: Any) -> Pair:
    pair = county_pair().model_dump(exclude_unset=True)
    pair |= {"pair": name, "tables": [*pair["tables"], SUPPLEMENT, GROUP], "official": OFFICIAL, **more}
    return Pair.model_validate(pair)


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
    return HandLanded(database, COUNTY.model_copy(update={"county": name}), official_pair(name))


def with_supplement(tables: Tables, *, status: str, value: int = 1500, year: int = 2026) -> Tables:
    """Parcel 1 as of a supplement that the pointer names already."""
    pointers = [row for row in tables["prop_supp_assoc"] if (row["prop_id"], row["owner_tax_yr"]) != (1, year)]
    owners = [row for row in tables["owner"] if row["prop_id"] == 1 and row["owner_tax_yr"] == year]
    return tables | {
        "prop_supp_assoc": [*pointers, {"prop_id": 1, "owner_tax_yr": year, "sup_num": 5}],
        "property_val": [
            *tables["property_val"],
            {"prop_id": 1, "prop_val_yr": year, "sup_num": 5, "assessed_val": value, "hood_cd": "A"},
        ],
        "owner": [*tables["owner"], *({**row, "sup_num": 5} for row in owners)],
        "supplement": [{"sup_tax_yr": year, "sup_num": 5, "sup_group_id": 77}],
        "sup_group": [{"sup_group_id": 77, "status_cd": status}],
    }


async def layers(hand: HandLanded) -> list[tuple[int, bool, bool, int]]:
    rows = await hand.fetch(
        "SELECT supplement, is_current, is_official, total_value_usd::int FROM ingest.parcel"
        " WHERE county = $1 AND parcel_id = '1' ORDER BY tax_year, supplement",
        hand.county.county,
    )
    return [tuple(row.values()) for row in rows]  # type: ignore[misc]


def heard(said: list[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return [
        (row["subject"].rsplit(".", 1)[0], row["body"]["layer"], row["body"]["parcel_id"], row["body"]["supplement"])
        for row in said
        if row["subject"].startswith("parcel.")
    ]


async def test_a_pending_supplement_is_the_working_layer_and_not_the_official_one(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    assert await layers(hand) == [(0, True, True, 1000)]
    _, renewed, _ = await hand.land(with_supplement(tables, status="P"))
    said = await hand.said("parcel.", "owner.")
    assert heard(said) == [("parcel.changed", "working", "1", 5)]
    assert said[0]["body"]["before"] == {"supplement": 0, "total_value_usd": 1000.0}
    assert renewed.certified_changes == 0
    assert await layers(hand) == [(0, False, True, 1000), (5, True, False, 1500)]
    (view,) = await hand.fetch(
        "SELECT supplement, total_value_usd::int AS v, is_current FROM ingest.parcel_official_v1"
        " WHERE county = $1 AND parcel_id = '1'",
        hand.county.county,
    )
    assert view == {"supplement": 0, "v": 1000, "is_current": False}


async def test_an_accepted_group_moves_the_official_layer_of_its_parcels_alone(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    await hand.land(with_supplement(tables, status="P"))
    await hand.said("")
    _, renewed, _ = await hand.land(with_supplement(tables, status="A"))
    assert (renewed.is_whole, renewed.parcels_touched) == (False, 1)
    assert heard(await hand.said("parcel.")) == [("parcel.changed", "official", "1", 5)]
    assert await layers(hand) == [(0, False, False, 1000), (5, True, True, 1500)]


async def test_a_deleted_supplement_falls_back_to_the_former_layer_in_one_event(hand: HandLanded) -> None:
    tables = small_pacs()
    await hand.land(tables)
    await hand.land(with_supplement(tables, status="BC"))
    assert heard(await hand.said("parcel.")) == [("parcel.changed", "working", "1", 5)]
    await hand.land(tables)
    said = await hand.said("parcel.", "owner.")
    assert heard(said) == [("parcel.changed", "working", "1", 0)]
    assert (await layers(hand))[0][1:3] == (True, True)


async def test_changes_of_a_certified_year_are_told_as_such(database: Database) -> None:
    county = "certified_county"
    pair = official_pair(county, certified_year={"column": "pacs_system.tax_yr"})
    longer = [table.model_copy(update={"years": 2 if table.years else None}) for table in pair.tables]
    pair = pair.model_copy(update={"tables": tuple(longer)})
    hand = HandLanded(database, COUNTY.model_copy(update={"county": county}), pair, certified_year=2025)
    tables = small_pacs()
    past = small_pacs(year=2025)
    for name in ("prop_supp_assoc", "property_val", "owner", "neighborhood"):
        tables[name] = [*past[name], *tables[name]]
    await hand.land(tables)
    assert await layers(hand) == [(0, False, True, 1000), (0, True, True, 1000)]
    await hand.said("")
    _, renewed, _ = await hand.land(with_supplement(tables, status="A", value=900, year=2025))
    assert renewed.certified_changes == 1
    told = [row["body"] for row in await hand.said("parcel.")]
    official = [body for body in told if body["layer"] == "official"]
    assert [(body["tax_year"], body["is_certified_year"]) for body in official] == [(2025, True)]
    assert official[0]["after"] == {"supplement": 5, "total_value_usd": 900.0}
    working = [body for body in told if body["layer"] == "working"]
    assert [(body["changed_fields"], body["is_certified_year"]) for body in working] == [
        (["prior_total_value_usd"], False)
    ]


def test_official_layers_need_what_says_them() -> None:
    with pytest.raises(ValueError, match="official needs layers"):
        official_pair("p_x", official=OFFICIAL | {"layers": "situs"})
    with pytest.raises(ValueError, match="uses what its tables do not declare"):
        official_pair("p_x", official=OFFICIAL | {"status": "sup_group.nothing"})
