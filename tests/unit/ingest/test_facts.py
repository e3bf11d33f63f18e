import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from contracts.events.ingest import MASK, ChangeEnvelope
from services.ingest.domain.envelopes import Place, RowChange, Run, envelopes, event_id
from services.ingest.domain.facts import (
    Origin,
    official_facts,
    owner_facts,
    parcel_facts,
    removed_parcel_facts,
    sale_facts,
)
from tests.support.mappings import county_pair

SEEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGIN = Origin("benton", "benton_pacs", UUID(int=1), SEEN)
RUN = Run("benton", county_pair("benton"), "pacs_oltp", 4, SEEN)


def parcel(before: dict[str, Any] | None, after: dict[str, Any], *, moved: bool = False) -> dict[str, Any]:
    row = {"parcel_id": "7", "tax_year": 2026, "supplement": 1, "before": before, "after": after}
    return {**row, "geometry_changed": moved, "is_official": True}


def active(**fields: Any) -> dict[str, Any]:
    return {"is_active": True, **fields}


def test_a_changed_parcel_tells_only_what_differs() -> None:
    (fact,) = parcel_facts(ORIGIN, [parcel(active(zoning="R", use="1"), active(zoning="C", use="1"), moved=True)])
    assert (fact.subject, fact.subject_id) == ("parcel.changed.benton", "7")
    assert fact.body()["changed_fields"] == ["zoning", "geometry"]
    assert (fact.body()["before"], fact.body()["after"]) == ({"zoning": "R"}, {"zoning": "C"})


@pytest.mark.parametrize(
    ("before", "after", "subjects"),
    [
        (None, active(), ["parcel.changed.benton"]),
        (active(), {"is_active": False}, ["parcel.removed.benton"]),
        ({"is_active": False}, active(), ["parcel.changed.benton"]),
        ({"is_active": False, "zoning": "R"}, {"is_active": False, "zoning": "C"}, []),
        (None, {"is_active": False}, []),
    ],
)
def test_removal_is_the_end_of_activity(before: Any, after: Any, subjects: list[str]) -> None:
    assert [fact.subject for fact in parcel_facts(ORIGIN, [parcel(before, after)])] == subjects


def test_a_parcel_gone_from_the_source_is_removed() -> None:
    row = {"parcel_id": "7", "tax_year": 2026, "supplement": 0, "is_official": True}
    (fact,) = removed_parcel_facts(ORIGIN, [row], certified_year=2026)
    assert (fact.subject, fact.body()["after"]) == ("parcel.removed.benton", None)
    assert fact.body()["is_certified_year"] is True


def test_an_official_layer_that_was_told_as_the_working_one_is_not_told_again() -> None:
    row = {**parcel(active(zoning="R"), active(zoning="C")), "is_working": True}
    gone = {**parcel(active(zoning="R"), None), "is_working": False}
    assert official_facts(ORIGIN, [row, gone], said={"7"}, certified_year=None) == []
    changed, removed = official_facts(ORIGIN, [row, gone], said=set(), certified_year=2026)
    assert (changed.subject, removed.subject) == ("parcel.changed.benton", "parcel.removed.benton")
    assert {fact.body()["layer"] for fact in (changed, removed)} == {"official"}
    assert changed.body()["is_certified_year"] is True


def sale(parcel_id: str, before: Any, after: Any, *, was_known: bool, is_known: bool) -> dict[str, Any]:
    row = {"sale_id": "9", "parcel_id": parcel_id, "before": before, "after": after}
    return {**row, "was_known": was_known, "is_known": is_known}


def test_a_sale_of_several_parcels_is_one_fact() -> None:
    rows = [sale(p, None, {"sale_price_usd": 5}, was_known=False, is_known=True) for p in ("2", "1")]
    (fact,) = sale_facts(ORIGIN, rows)
    assert (fact.subject, fact.body()["parcel_ids"]) == ("sale.recorded.benton", ["1", "2"])


def test_a_sale_that_gains_a_parcel_is_changed_and_one_without_any_is_removed() -> None:
    (changed,) = sale_facts(ORIGIN, [sale("2", None, {"p": 1}, was_known=True, is_known=True)])
    (removed,) = sale_facts(ORIGIN, [sale("2", {"p": 1}, None, was_known=True, is_known=False)])
    assert (changed.subject, removed.subject) == ("sale.changed.benton", "sale.removed.benton")


def test_owners_are_told_once_a_parcel_and_without_names() -> None:
    rows = [
        {"parcel_id": "7", "tax_year": 2026, "owner_id": "1", "changed_fields": ["owner_id"]},
        {"parcel_id": "7", "tax_year": 2026, "owner_id": "2", "changed_fields": ["name"]},
        {"parcel_id": "8", "tax_year": 2026, "owner_id": "1", "changed_fields": ["owner_id"]},
    ]
    (fact,) = owner_facts(ORIGIN, rows, silent={"8"})
    assert (fact.subject, fact.body()["owner_ids"]) == ("owner.changed.benton", ["1", "2"])
    assert fact.body()["changed_fields"] == ["name", "owner_id"]


def test_envelopes_are_debeziums() -> None:
    table = RUN.pair.table_by_name["account"]
    image = f'{{"acct_id":5,"file_as_name":"{MASK}"}}'
    changes = [RowChange("c", "5", None, image), RowChange("d", "6", image, None)]
    created, deleted = envelopes(RUN, table, changes, place=Place(10))
    body = created.envelope.body()
    assert json.loads(created.envelope.model_dump_json()) == body
    assert not body.keys() & {"county", "occurred_at"}
    assert created.key == {"acct_id": 5}
    assert created.envelope.subject == "cdc.benton.benton_pacs.dbo.account"
    assert body["source"].items() >= {
        "version": "1", "connector": "terrafusion", "name": "benton_pacs", "ts_ms": 1772366400000, "snapshot": "false",
        "db": "pacs_oltp", "sequence": "4", "ts_us": 1772366400000000, "ts_ns": 1772366400000000000, "schema": "dbo",
        "table": "account", "change_lsn": None, "commit_lsn": None, "event_serial_no": None, "version_token": None,
    }.items()  # fmt: skip
    assert body["transaction"] == {"id": "4", "total_order": 11, "data_collection_order": 1}
    assert (deleted.envelope.before, deleted.envelope.after) == (body["after"], None)
    again = ChangeEnvelope.model_validate({**body, "county": "benton", "occurred_at": SEEN})
    assert again == created.envelope


def test_a_second_try_of_a_run_has_the_same_ids_and_a_later_run_others() -> None:
    later = Run(RUN.county, RUN.pair, RUN.database, 5, SEEN)
    assert event_id(RUN, "sale", "u", "9") == event_id(RUN, "sale", "u", "9")
    assert len({event_id(run, "sale", op, "9") for run in (RUN, later) for op in "ud"}) == 4
