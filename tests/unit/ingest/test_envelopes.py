"""Envelopes against Debezium's documented shape, whatever the rows are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.ingest import NEW_KEY_HEADER, OLD_KEY_HEADER
from contracts.mapping import Pair
from services.ingest.domain.envelopes import (
    LogPosition,
    Place,
    RowChange,
    Run,
    envelopes,
    is_lsn,
    lsn,
    snapshot_marks,
)
from services.ingest.domain.personal import PersonalKey

PAIR = Pair.model_validate(
    {
        "pair": "some_pair",
        "connector": "sql",
        "working_year": {"year": 2026},
        "tables": [{"name": "t", "key": ["id", "code"], "columns": {"id": "integer", "code": "text", "x": "text"}}],
        "entities": {"parcel": {"root": "t", "fields": {}}},
    }
)
TABLE = PAIR.tables[0]
RUN = Run("benton", PAIR, "pacs_oltp", 4, datetime(2026, 3, 1, 12, tzinfo=UTC))

#: field, whether it may be null, and its type, in the order of SourceInfo's schema of the SQL Server connector
SOURCE = {
    "version": (False, str), "connector": (False, str), "name": (False, str), "ts_ms": (False, int),
    "snapshot": (False, str), "db": (False, str), "sequence": (True, str), "ts_us": (True, int), "ts_ns": (True, int),
    "schema": (False, str), "table": (False, str), "change_lsn": (True, str), "commit_lsn": (True, str),
    "event_serial_no": (True, int),
}  # fmt: skip
VALUE = ["before", "after", "source", "op", "ts_ms", "ts_us", "ts_ns", "transaction"]
MARKS = {"true", "first", "first_in_data_collection", "last_in_data_collection", "last", "false", "incremental"}


def test_images_of_an_older_mapping_show_nothing_that_is_personal_by_now() -> None:
    table = TABLE.model_copy(update={"personal": ("x",)})
    past, now = ('{"id": 1, "code": "a", "x": "Jane Doe"}', '{"id": 1, "code": "a", "x": "***"}')
    for treatment, shown in (("mask", "***"), ("hmac", "***"), ("drop", None)):
        treated = table.model_copy(update={"personal_as": {"x": treatment}})
        (told,) = envelopes(RUN, treated, [RowChange("u", "1/a", past, now)], place=Place())
        assert told.envelope.before == {"id": 1, "code": "a", "x": shown}
    coded = table.model_copy(update={"personal_as": {"x": "hmac"}})
    (told,) = envelopes(
        RUN, coded, [RowChange("d", "1/a", '{"id": 1, "x": "hmac:1:2", "code": "a"}', None)], place=Place()
    )
    assert told.envelope.before == {"id": 1, "code": "a", "x": "hmac:1:2"}


texts = st.one_of(st.none(), st.text(max_size=8))
rows = st.fixed_dictionaries({"id": st.integers(-9, 9), "code": st.text(max_size=5), "x": texts}).map(json.dumps)
hexes = st.integers(0, 2**80 - 1).map(lambda number: f"{number:020x}")
logs = st.one_of(
    st.none(),
    st.builds(LogPosition, hexes, hexes, st.none() | st.just("tx")),
    st.builds(LogPosition, st.integers(1, 999).map(str)),
)
changes = st.one_of(
    st.builds(lambda row, log: RowChange("c", "k", None, row, log), rows, logs),
    st.builds(lambda past, row, log: RowChange("u", "k", past, row, log), rows, rows, logs),
    st.builds(lambda past, log: RowChange("d", "k", past, None, log), rows, logs),
    st.builds(lambda row: RowChange("r", "k", None, row), rows),
)


@given(st.lists(changes, max_size=5), st.none() | st.just("0x0A"))
def test_an_envelope_has_debeziums_shape(listed: list[RowChange], token: str | None) -> None:
    made = list(envelopes(RUN, TABLE, listed, place=Place(3, 1), token=token))
    assert len(made) == len(listed)
    for number, (change, keyed) in enumerate(zip(listed, made, strict=True), start=1):
        body = json.loads(keyed.envelope.model_dump_json())
        assert list(body) == VALUE
        _has_shape(body["source"])
        assert (body["before"] is None, body["after"] is None) == (change.op in "cr", change.op == "d")
        assert list(keyed.key) == ["id", "code"]
        assert keyed.key.items() <= (body["after"] or body["before"]).items()
        transaction = body["transaction"]
        assert (transaction["total_order"], transaction["data_collection_order"]) == (3 + number, 1 + number)
        assert body["ts_ns"] == body["ts_us"] * 1000


def _has_shape(source: dict[str, Any]) -> None:
    assert list(source)[: len(SOURCE)] == list(SOURCE), "what is ours comes after what is Debezium's"
    assert "version_token" in source
    for name, (is_optional, kind) in SOURCE.items():
        assert isinstance(source[name], kind) or (is_optional and source[name] is None), name
    assert source["snapshot"] in MARKS
    has_lsn = source["commit_lsn"] is not None
    assert (source["event_serial_no"] is not None) == has_lsn
    assert not (has_lsn and source["version_token"])


def test_an_update_is_the_second_row_of_its_log_entry() -> None:
    place = LogPosition("0x00000027000007580005", "00000027000007580003")
    row = '{"id": 1, "code": "a", "x": null}'
    (keyed,) = envelopes(RUN, TABLE, [RowChange("u", "1/a", row, row, place)], place=Place())
    source = keyed.envelope.source
    assert (source.commit_lsn, source.change_lsn) == ("00000027:00000758:0005", "00000027:00000758:0003")
    assert source.event_serial_no == 2


def test_a_key_update_names_the_other_key_on_both_sides() -> None:
    place = LogPosition("00000027000007580005", "00000027000007580003")
    old, new = '{"id": 1, "code": "a", "x": null}', '{"id": 2, "code": "a", "x": null}'
    pair = [
        RowChange("d", "1/a", old, None, place, moved="from", other=new),
        RowChange("c", "2/a", None, new, place, moved="to", other=old),
    ]
    gone, come = envelopes(RUN, TABLE, pair, place=Place())
    assert gone.moved == (NEW_KEY_HEADER, {"id": 2, "code": "a"})
    assert come.moved == (OLD_KEY_HEADER, {"id": 1, "code": "a"})
    assert [k.envelope.source.event_serial_no for k in (gone, come)] == [1, 2]
    assert gone.event_id != come.event_id


def test_a_row_that_nobody_has_an_image_of_still_has_its_key() -> None:
    (keyed,) = envelopes(RUN, TABLE, [RowChange("d", "7/a%2Fb%25", None, None)], place=Place())
    assert keyed.key == {"id": 7, "code": "a/b%"}


@given(st.integers(1, 30), st.integers(1, 7), st.booleans(), st.booleans())
def test_a_snapshot_begins_and_ends_once_in_any_pages(rows: int, page: int, first: bool, last: bool) -> None:  # noqa: FBT001
    marks = [
        mark
        for start in range(0, rows, page)
        for mark in snapshot_marks(
            range(start, min(start + page, rows)), rows=rows, is_first_table=first, is_last_table=last
        )
    ]
    assert len(marks) == rows
    assert marks[-1] == ("last" if last else "last_in_data_collection")
    assert marks[1:-1] == ["true"] * (rows - 2)
    if rows > 1:
        assert marks[0] == ("first" if first else "first_in_data_collection")


@pytest.mark.parametrize(("token", "says"), [("00000027000007580003", True), ("10422", False), (None, False)])
def test_a_log_sequence_number_is_told_from_a_version(token: str | None, says: bool) -> None:  # noqa: FBT001
    assert is_lsn(token) is says


def test_a_log_sequence_number_is_written_as_debezium_does() -> None:
    assert lsn("00000027000007580003") == "00000027:00000758:0003"


def test_codes_of_people_are_equal_for_equal_values_and_one_key() -> None:
    key, other = PersonalKey(b"k" * 32), PersonalKey(b"o" * 32)
    assert key("DOE") == key("DOE") != key("ROE")
    assert key("DOE") != other("DOE")
    assert key("DOE").startswith(f"hmac:{key.id}:")
    assert key.id != other.id
    assert "DOE" not in key("DOE")
