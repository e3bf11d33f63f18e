"""Which reader a table gets, what it cannot see, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from chassis.errors import PermanentError
from contracts.mapping import ColumnType, Pair, SourceTable
from services.ingest.readers.choosing import choose
from services.ingest.sources.source import Catalog, ColumnFacts, Marker, SourceFacts, TableFacts

TABLE = SourceTable(name="lot", key=("year", "id"), columns=dict.fromkeys(("year", "id", "note"), ColumnType.TEXT))
FACTS = TableFacts(primary_key=("year", "id"))
SERVER = SourceFacts(
    "SQL Server",
    "16",
    is_read_only=False,
    allows_snapshot_isolation=True,
    has_cdc=True,
    has_change_tracking=True,
)
CATALOG: Catalog = {
    "lot": {
        "year": ColumnFacts("int", is_nullable=False),
        "id": ColumnFacts("int", is_nullable=False),
        "note": ColumnFacts("varchar"),
        "changed_at": ColumnFacts("datetime"),
        "changed_on": ColumnFacts("date"),
    }
}


def pair(reader: str = "auto", connector: str = "sql", **table: Any) -> Pair:
    described = {**TABLE.model_dump(exclude_unset=True), **table}
    return Pair.model_validate(
        {
            "pair": "benton_lots",
            "connector": connector,
            "reader": reader,
            "working_year": {"year": 2026},
            "tables": [{**described, "links": {"parcel_id": "id"}}],
            "entities": {"parcel": {"root": "lot", "fields": {"parcel_number": "lot.id"}}},
        }
    )


def chosen(facts: TableFacts, server: SourceFacts = SERVER, *, catalog: Catalog = CATALOG, **mapping: Any) -> Any:
    made = pair(**mapping)
    return choose(made, made.tables[0], replace(server, tables={"lot": facts}), catalog)


def test_auto_takes_the_best_step_of_the_ladder_that_is_there() -> None:
    facts = replace(FACTS, capture_instances=("dbo_lot",), has_change_tracking=True, rowversion_column="v")
    assert chosen(facts).reader == "cdc"
    assert chosen(replace(facts, capture_instances=())).reader == "change_tracking"
    without_logs = replace(facts, capture_instances=(), has_change_tracking=False)
    assert chosen(without_logs).reader == "rowversion"
    assert chosen(FACTS, changed_column="changed_at").reader == "timestamp"
    assert chosen(FACTS).reader == "hash_diff"


def test_markers_below_change_tracking_are_paired_with_the_keys_of_ranges() -> None:
    rowversion = chosen(replace(FACTS, rowversion_column="v"))
    assert (rowversion.marker, rowversion.content) == (Marker("rowversion", "v"), "key")
    timestamp = chosen(FACTS, changed_column="changed_at")
    assert (timestamp.marker, timestamp.content) == (Marker("timestamp", "changed_at"), "key")
    assert (chosen(FACTS).marker, chosen(FACTS).content) == (None, "row")


def test_the_newest_capture_instance_is_the_marker_and_all_are_known() -> None:
    choice = chosen(replace(FACTS, capture_instances=("old", "new")))
    assert choice.marker == Marker("cdc", instance="new")
    state = choice.state(pair(), TABLE, token=None, is_loaded=False)
    assert state.instances == ("old", "new")
    assert state.overlap_seconds == 7_200


def test_a_mapping_forces_a_reader_and_the_table_goes_before_the_pair() -> None:
    facts = replace(FACTS, capture_instances=("dbo_lot",), rowversion_column="v")
    assert chosen(facts, reader="rowversion").reader == "rowversion"
    made = pair(reader="cdc")
    table = made.tables[0].model_copy(update={"reader": "hash_diff"})
    assert choose(made, table, replace(SERVER, tables={"lot": facts}), CATALOG).reader == "hash_diff"


@pytest.mark.parametrize(
    ("reader", "facts", "server", "mapping", "reason"),
    [
        ("cdc", FACTS, SERVER, {}, "not captured"),
        ("cdc", replace(FACTS, capture_instances=("x",)), replace(SERVER, has_cdc=None), {}, "cannot see"),
        ("change_tracking", FACTS, SERVER, {}, "not on"),
        ("change_tracking", replace(FACTS, has_change_tracking=True, primary_key=("id",)), SERVER, {}, "primary key"),
        ("rowversion", FACTS, SERVER, {}, "no rowversion"),
        ("timestamp", FACTS, SERVER, {}, "no changed_column"),
        ("timestamp", FACTS, SERVER, {"changed_column": "gone"}, "no column gone"),
        ("timestamp", FACTS, SERVER, {"changed_column": "changed_on"}, "is a date"),
    ],
)
def test_what_the_source_cannot_do_is_refused_with_the_reason(
    reader: str, facts: TableFacts, server: SourceFacts, mapping: dict[str, str], reason: str
) -> None:
    with pytest.raises(PermanentError, match=reason) as refused:
        chosen(facts, server, reader=reader, **mapping)
    assert refused.value.code == "reader_not_possible"
    assert (refused.value.details["table"], refused.value.details["reader"]) == ("lot", reader)


@pytest.mark.parametrize("is_read_only", [True, None])
def test_p19_change_tracking_on_a_read_only_copy_is_refused(*, is_read_only: bool | None) -> None:
    facts = replace(FACTS, has_change_tracking=True)
    server = replace(SERVER, is_read_only=is_read_only)
    assert chosen(facts, server).reader == "hash_diff"
    with pytest.raises(PermanentError, match="read-only copy"):
        chosen(facts, server, reader="change_tracking")


@pytest.mark.parametrize(
    ("facts", "is_ranged"),
    [
        (TableFacts(primary_key=("year", "id", "part")), True),
        (TableFacts(primary_key=("id", "year")), False),
        (TableFacts(indexes=(("note",), ("year", "id"))), True),
        (TableFacts(clustered_key=("year",)), False),
        (TableFacts(), False),
    ],
)
def test_ranges_need_an_index_in_the_keys_own_order(facts: TableFacts, *, is_ranged: bool) -> None:
    choice = chosen(facts)
    assert choice.is_ranged is is_ranged
    assert any("whole table" in spot for spot in choice.blind_spots) is not is_ranged


def test_blind_spots_say_what_is_not_seen() -> None:
    assert any(
        "unverified on SQL Server" in spot for spot in chosen(replace(FACTS, capture_instances=("x",))).blind_spots
    )
    assert any("overlap" in spot for spot in chosen(FACTS, changed_column="changed_at").blind_spots)
    nullable: Catalog = {"lot": {**CATALOG["lot"], "id": ColumnFacts("int")}}
    assert any("id may be null" in spot for spot in chosen(FACTS, catalog=nullable).blind_spots)
    moments = chosen(FACTS, replace(SERVER, allows_snapshot_isolation=False)).blind_spots
    assert any("different moments" in spot for spot in moments)


def test_a_file_is_compared_as_one_range() -> None:
    choice = chosen(TableFacts(), SourceFacts("files", "1"), connector="sql", catalog={})
    assert (choice.reader, choice.is_ranged) == ("hash_diff", False)
