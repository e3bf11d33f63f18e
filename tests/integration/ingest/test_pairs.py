"""Three systems feed one record, in the order in which a county lives it: each test goes on from the one before."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chassis.storage import Storage
from tests.support.two_pairs import CRM, GIS, GIS_PAIR, PACS, Lot, TwoPairs, add_pairs, two_pairs

OWNED = {"ownership": {"geometry": GIS}, "tolerances": {"land_area_sqft": 5}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def county(database_url: str, legacy: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoPairs]:
    async with two_pairs(database_url, tmp_path_factory.mktemp("two_pairs"), rules=OWNED) as found:
        yield found


@pytest.fixture(scope="module")
def apns(legacy: Any) -> list[str]:
    """Parcel numbers of three parcels with owners that may be named."""
    found = legacy.value(
        "SELECT array_agg(n ORDER BY n) FROM (SELECT DISTINCT trim(p.geo_id) AS n FROM dbo.property p"
        " JOIN dbo.prop_supp_assoc s ON s.prop_id = p.prop_id JOIN dbo.property_val v ON v.prop_id = p.prop_id"
        " JOIN dbo.owner o ON o.prop_id = p.prop_id JOIN dbo.account a ON a.acct_id = o.owner_id"
        " WHERE p.prop_type_cd = 'R' AND p.geo_id > '' AND v.prop_inactive_dt IS NULL AND p.zoning > ''"
        " AND coalesce(a.confidential_flag, 'F') <> 'T' ORDER BY 1 LIMIT 3) t"
    )
    assert isinstance(found, list)
    assert len(found) == 3
    return found


async def test_a_gis_that_comes_first_waits_for_the_parcels(county: TwoPairs, apns: list[str]) -> None:
    first, second, _ = apns
    county.lots = [Lot(first, "NEW"), Lot(second, None, flood="AE"), Lot("no-such-parcel", "R1")]
    county.contacts = []
    county.write()
    result = await county.follow(county.gis)
    assert (result["contributions"], result["unmatched"], result["parcels"]) == (3, 0, 0)
    assert await county.pacs.fetch("SELECT * FROM ingest.parcel_v1") == []


async def test_the_parcels_come_with_what_the_gis_says_of_them(county: TwoPairs, apns: list[str]) -> None:
    result = await county.follow(county.pacs, "full")
    assert (result["unmatched"], result["conflicts"]) == (1, 1)
    parcel = await county.parcel(apns[0])
    assert (parcel["west"], parcel["srid"], parcel["attributes"]["flood_zone"]) == (
        pytest.approx(parcel["west"]),
        2927,
        "X",
    )
    assert parcel["zoning"] != "NEW"
    second = await county.parcel(apns[1])
    assert second["attributes"]["flood_zone"] == "AE"
    assert second["zoning"]
    assert (await county.parcel(apns[2]))["attributes"].get("flood_zone") is None


async def test_what_matches_no_parcel_is_listed(county: TwoPairs) -> None:
    rows = await county.pacs.fetch("SELECT pair, key, value FROM ingest.quarantine_v1 WHERE rule = 'parcel_unmatched'")
    assert [(row["pair"], row["key"], row["value"]) for row in rows] == [(GIS, "no-such-parcel", "no-such-parcel")]


async def test_a_contradiction_that_nobody_owns_asks_a_person(county: TwoPairs, apns: list[str]) -> None:
    parcel = await county.parcel(apns[0])
    (conflict,) = await county.conflicts()
    assert (conflict["entity"], conflict["entity_id"], conflict["field"]) == ("parcel", parcel["parcel_id"], "zoning")
    assert conflict["candidates"] == [{"pair": PACS, "value": parcel["zoning"]}, {"pair": GIS, "value": "NEW"}]
    ((_, told),) = await county.pacs.said(["sync.conflict_found"])
    assert (told["conflict_id"], told["pairs"]) == (str(conflict["id"]), [PACS, GIS])


async def test_a_change_of_the_gis_changes_the_parcel_and_is_told_of(county: TwoPairs, apns: list[str]) -> None:
    before = await county.parcel(apns[1])
    county.lots[1] = Lot(apns[1], None, flood="AE", corner=1_501_000.0)
    county.write()
    result = await county.follow(county.gis)
    after = await county.parcel(apns[1])
    assert after["west"] > before["west"]
    assert after["market_value_usd"] == before["market_value_usd"]
    ((subject, fact),) = await county.pacs.said()
    assert (subject, fact["pair"], fact["parcel_id"]) == ("parcel.changed.synthetic_wa", GIS, after["parcel_id"])
    assert fact["changed_fields"] == ["geometry"]
    assert (result["facts"], result["events"], len(await county.conflicts())) == (1, 2, 1)
    assert (await county.follow(county.gis))["events"] == 0


async def test_a_whole_run_of_each_pair_changes_nothing(county: TwoPairs) -> None:
    query = "SELECT to_jsonb(p) - 'updated_at' AS row FROM ingest.parcel p ORDER BY parcel_id, tax_year, supplement"
    before = await county.pacs.fetch(query)
    for bench in (county.pacs, county.gis, county.pacs):
        assert (await county.follow(bench, "full"))["events"] == 0
    assert await county.pacs.fetch(query) == before


async def test_a_person_ends_a_conflict(county: TwoPairs, apns: list[str]) -> None:
    (conflict,) = await county.conflicts()
    await county.follow(county.gis, "resolve", conflict_id=str(conflict["id"]), choice=GIS)
    assert (await county.parcel(apns[0]))["zoning"] == "NEW"
    ((_, fact),) = await county.pacs.said()
    assert (fact["changed_fields"], fact["after"]) == (["zoning"], {"zoning": "NEW"})
    assert await county.conflicts() == []
    await county.pacs.forget()
    again = await county.gis.run("resolve", conflict_id=str(conflict["id"]), choice=GIS)
    assert again["error"]["code"] == "conflict_resolved"


async def test_the_choice_stands_until_a_system_says_something_else(
    county: TwoPairs, apns: list[str], legacy: Any
) -> None:
    await county.follow(county.pacs, "full")
    assert (await county.parcel(apns[0]))["zoning"] == "NEW"
    county.lots[0].zone = "NEWER"
    county.write()
    assert (await county.follow(county.gis))["conflicts"] == 1
    assert (await county.parcel(apns[0]))["zoning"] not in {"NEW", "NEWER"}
    legacy.execute(f"UPDATE dbo.property SET zoning = 'NEWER' WHERE trim(geo_id) = '{apns[0]}'")
    await county.follow(county.pacs)
    assert (await county.parcel(apns[0]))["zoning"] == "NEWER"
    assert await county.conflicts() == []
    assert [row["choice"] for row in await county.conflicts("resolved")].count(None) == 1


async def test_addresses_of_owners_come_from_the_crm_and_stay_among_owners(county: TwoPairs, apns: list[str]) -> None:
    parcel = await county.parcel(apns[1])
    (owner, *_) = await county.pacs.fetch("SELECT * FROM ingest.owner_v1 WHERE parcel_id = $1", parcel["parcel_id"])
    county.contacts = [(apns[1], owner["owner_id"], "1 New Street")]
    county.write()
    add_pairs(county.pacs.counties_dir, *_rules(county, {"owner.mailing_address": CRM, "geometry": GIS}))
    await county.follow(county.crm)
    rows = await county.pacs.fetch(
        "SELECT mailing_address FROM ingest.owner_v1 WHERE parcel_id = $1 AND owner_id = $2",
        parcel["parcel_id"],
        owner["owner_id"],
    )
    assert [row["mailing_address"] for row in rows] == ["1 New Street"]
    said = await county.pacs.said(("cdc.", "parcel.", "owner.", "sync."))
    assert any(subject.startswith("owner.changed") for subject, _ in said)
    assert "New Street" not in json.dumps([body for _, body in said])


def _rules(county: TwoPairs, ownership: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from tests.support.two_pairs import CRM_PAIR  # noqa: PLC0415

    return [GIS_PAIR, CRM_PAIR], {"ownership": ownership}


async def test_our_own_value_at_the_source_does_not_echo(county: TwoPairs, apns: list[str]) -> None:
    """A program that writes what is told of into the GIS, signs as TerraFusion, and leaves what is signed alone."""
    add_pairs(county.pacs.counties_dir, *_rules(county, {"zoning": GIS, "owner.mailing_address": CRM, "geometry": GIS}))
    await county.follow(county.pacs)
    county.lots[1].zone = "C9"
    county.write()
    await county.follow(county.gis)
    facts = [body for subject, body in await county.pacs.said() if subject.startswith("parcel.changed")]
    assert [(fact["after"], fact["origin"]) for fact in facts] == [({"zoning": "C9"}, None)]
    rounds = 0
    while posted := [fact for fact in facts if fact["origin"] is None]:
        rounds += 1
        assert rounds < 3
        assert len(posted) == 1
        county.lots[1] = Lot(apns[1], f"C9-{rounds}", flood="AE", editor="terrafusion", corner=1_501_000.0)  # rounded
        county.write()
        await county.follow(county.gis)
        said = await county.pacs.said(("parcel.", "cdc."))
        marks = {body["source"]["origin"] for subject, body in said if subject.startswith("cdc.")}
        assert marks == {"terrafusion"}
        facts = [body for subject, body in said if subject.startswith("parcel.changed")]
    assert rounds == 1
    assert [fact["origin"] for fact in facts] == ["terrafusion"]
    await county.follow(county.gis)
    assert await county.pacs.said() == []


async def test_a_comparison_names_every_difference_and_no_person(county: TwoPairs, apns: list[str]) -> None:
    await county.pacs.forget()
    job = await county.pacs.run("compare")
    assert job["status"] == "succeeded", job["error"]
    summary, lines = await _artifacts(county, job)
    assert summary["fields"]["market_value_usd"]["differing"] == 0
    assert summary["fields"]["market_value_usd"]["compared"] == summary["parcels"]["compared"] > 250
    without = await county.pacs.fetch("SELECT * FROM ingest.parcel_v1 WHERE is_active AND market_value_usd IS NULL")
    assert summary["fields"]["market_value_usd"]["empty"] == len(without) > 0
    parcel = await county.parcel(apns[1])
    zoning = [line for line in lines if line["field"] == "zoning"]
    assert [(line["parcel_id"], line["terrafusion"]) for line in zoning] == [
        ((await county.parcel(apns[0]))["parcel_id"], "NEWER") for _ in range(0)
    ] + [(parcel["parcel_id"], "C9-1")]
    assert summary["fields"]["zoning"]["examples"] == [parcel["parcel_id"]]
    assert {line["field"] for line in lines} == {"zoning", "geometry"}
    owners = await county.pacs.fetch("SELECT name FROM ingest.owner_v1 WHERE name IS NOT NULL")
    text = json.dumps([summary, lines])
    assert not [row["name"] for row in owners if row["name"] in text]


async def test_two_pairs_are_compared_by_what_both_say(county: TwoPairs, apns: list[str]) -> None:
    job = await county.pacs.run("compare", against=GIS)
    assert job["status"] == "succeeded", job["error"]
    summary, lines = await _artifacts(county, job)
    assert sorted(summary["fields"]) == ["geometry", "zoning"]
    assert (summary["parcels"]["compared"], summary["parcels"]["only_right"]) == (2, 1)
    assert {(line[PACS], line[GIS]) for line in lines if line["field"] == "zoning"} >= {
        ((await _pacs_zoning(county, apns[1])), "C9-1")
    }


async def _pacs_zoning(county: TwoPairs, apn: str) -> str:
    rows = await county.pacs.fetch(
        "SELECT image::jsonb ->> 'zoning' AS zoning FROM ingest.source_row WHERE source_table = 'property'"
        " AND trim(image::jsonb ->> 'geo_id') = $1",
        apn,
    )
    return str(rows[0]["zoning"])


async def test_a_lot_that_is_gone_says_nothing_any_more(county: TwoPairs, apns: list[str]) -> None:
    county.lots = [county.lots[0], *county.lots[2:]]
    county.write()
    await county.follow(county.gis)
    parcel = await county.parcel(apns[1])
    assert (parcel["zoning"], parcel["attributes"].get("flood_zone")) == (await _pacs_zoning(county, apns[1]), None)


async def test_a_parallel_system_is_landed_and_makes_nothing(county: TwoPairs) -> None:
    query = "SELECT to_jsonb(p) - 'updated_at' AS row FROM ingest.parcel p ORDER BY parcel_id, tax_year, supplement"
    _, rules = _rules(county, {})
    parallel = {**GIS_PAIR, "role": "parallel"}
    add_pairs(county.pacs.counties_dir, [parallel], rules)
    await county.follow(county.pacs)
    before = await county.pacs.fetch(query)
    county.lots[0].zone = "ZZ"
    county.write()
    result = await county.follow(county.gis)
    assert (result["rows_applied"], result["facts"], result["events"]) == (1, 0, 1)
    assert await county.pacs.fetch(query) == before


async def _artifacts(county: TwoPairs, job: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    names = {artifact["name"] for artifact in job["artifacts"]}
    assert names == {"comparison.json", "differences.csv"}
    storage = Storage((county.folder.parent / "storage").as_uri())
    found = {name: await _read(storage, job, name) for name in names}
    return json.loads(found["comparison.json"]), list(csv.DictReader(io.StringIO(found["differences.csv"])))


async def _read(storage: Storage, job: dict[str, Any], name: str) -> str:
    chunks = await storage.read(job["county"], job["id"], attempt=job["attempt"], name=name)
    return b"".join([chunk async for chunk in chunks]).decode()
