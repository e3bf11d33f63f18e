"""The traps of others' readers, each named after its number, on the readers that they apply to; a source in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from services.ingest.readers.batch import Range, TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.idle import changed_tables
from services.ingest.readers.reading import read_table
from services.ingest.readers.stall import CHECKED_EVERY, PATIENCE, Watched
from services.ingest.readers.timestamp import earlier
from services.ingest.sources.source import Asked, Bounds, Digest, Key, Marker
from tests.support.landing_model import Landing
from tests.support.memory_source import TABLE, MemorySource, Row, lsn, row

MARKERS: dict[str, Marker | None] = {
    "hash_diff": None,
    "rowversion": Marker("rowversion", "tsRowVersion"),
    "timestamp": Marker("timestamp", "changed_at"),
    "change_tracking": Marker("change_tracking"),
    "cdc": Marker("cdc", instance="one"),
}
LOGS = ("change_tracking", "cdc")


def follow(reader: str, *, rows: int = 4, **more: Any) -> Landing:
    content = "key" if reader in {"rowversion", "timestamp"} else "row"
    state = TableState(TABLE, MARKERS[reader], content, **more)  # type: ignore[arg-type]
    return Landing(state, chunk=ChunkSize(rows=rows, fewest=rows, most=rows))


def filled(rows: int, **more: Any) -> MemorySource:
    source = MemorySource(**more)
    source.put(*(row("2026", f"{number:03}", "a", "1.50") for number in range(rows)))
    return source


def key(number: int) -> Key:
    return ("2026", f"{number:03}", "a")


def value_at(landed: Landing, number: int) -> str | None:
    return landed.landed.rows[key(number)]["value"]


@pytest.mark.parametrize("reader", ["rowversion", "timestamp"])
def test_p01_a_change_that_is_committed_late_arrives(reader: str) -> None:
    source, landed = filled(3), follow(reader)
    landed.run(source)
    early = source.begin()
    early.put(row("2026", "000", "a", "early"))
    source.put(row("2026", "001", "a", "late"))
    landed.run(source)
    assert (value_at(landed, 0), value_at(landed, 1)) == ("1.50", "late")
    early.commit()
    landed.run(source)
    assert (value_at(landed, 0), value_at(landed, 1)) == ("early", "late")
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize("reader", ["rowversion", "timestamp"])
def test_p02_a_commit_between_the_mark_and_the_rows_is_not_lost(reader: str) -> None:
    source, landed = filled(3), follow(reader)
    landed.run(source)
    source.put(row("2026", "001", "a", "first"))
    once = iter([row("2026", "002", "a", "second")])
    source.between = lambda: source.put(*(written for written in [next(once, None)] if written))
    landed.run(source)
    source.between = lambda: None
    landed.run(source)
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("2026-11-01 01:30:00.003", "2026-10-31 23:30:00.003"),
        ("2026-11-01 01:30:00.1234567", "2026-10-31 23:30:00.1234567"),
        ("2026-11-01T01:30:00.007", "2026-10-31T23:30:00.007"),
        ("2026-11-01 01:30:00 -07:00", "2026-10-31 23:30:00 -07:00"),
        ("2026-03-01 00:00:00", "2026-02-28 22:00:00"),
        ("0001-01-01 00:30:00", "0001-01-01 00:30:00"),
    ],
)
def test_p03_the_lower_end_keeps_every_digit(token: str, expected: str) -> None:
    assert earlier(token, 7_200) == expected


@pytest.mark.parametrize("reader", ["rowversion", "timestamp"])
def test_p04_rows_that_share_a_mark_are_all_read(reader: str) -> None:
    source, landed = filled(1), follow(reader)
    landed.run(source)
    source.put(*(row("2026", f"{number:04}", "a", "tied") for number in range(500)))
    landed.run(source)
    stamp = max(source.stamps.values())
    source.put(*(row("2026", f"{number:04}", "a", "tied") for number in range(500, 1_000)))
    source.stamps = dict.fromkeys(source.stamps, stamp)
    landed.run(source)
    assert len(landed.landed.rows) == 1_001
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize("reader", LOGS)
def test_p05_p07_a_log_that_was_cleaned_up_is_a_gap_and_only_this_table_is_read_again(reader: str) -> None:
    source, landed = filled(6), follow(reader)
    landed.run(source)
    since = landed.landed.token
    source.put(row("2026", "001", "a", "lost"))
    source.remove(key(2))
    source.put(row("2026", "003", "a", "kept"))
    source.clean_up(below=source.log[-1].commit)
    landed.run(source)
    (gap,) = landed.gaps
    assert (gap.table, gap.since) == ("land", since)
    assert landed.landed.rows == source.rows
    landed.run(source)
    assert len(landed.gaps) == 1


@pytest.mark.parametrize("reader", LOGS)
def test_p05_a_log_that_is_cleaned_up_while_it_is_read_is_a_gap(reader: str) -> None:
    source, landed = filled(6), follow(reader)
    landed.run(source)
    for number in range(4):
        source.put(row("2026", f"00{number}", "a", "changed"))
    source.between = lambda: source.clean_up(below=source.log[-1].commit)
    landed.run(source)
    source.between = lambda: None
    assert len(landed.gaps) == 1
    landed.run(source)
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize("reader", ["rowversion", *LOGS])
def test_p05_a_source_that_was_restored_to_a_time_before_is_a_gap(reader: str) -> None:
    source, landed = filled(6), follow(reader)
    landed.run(source)
    source.put(row("2026", "001", "a", "later"))
    landed.run(source)
    restored = filled(6)
    landed.run(restored)
    assert len(landed.gaps) == 1
    assert landed.landed.rows == restored.rows


@pytest.mark.parametrize("reader", LOGS)
@pytest.mark.parametrize("distance", [0, 1])
def test_p06_a_table_whose_token_is_the_lowest_or_just_below_has_no_gap(reader: str, distance: int) -> None:
    source, landed = filled(6), follow(reader)
    landed.run(source)
    last = source.log[-1].commit
    if reader == "cdc":
        source.instances = {
            "one": last + distance
        }  # the instance's own lowest number: what is above the token is there
    else:
        source.least_version = last
    source.put(row("2026", "001", "a", "changed"))
    landed.run(source)
    assert not landed.gaps
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize("reader", LOGS)
def test_p08_the_token_of_an_idle_table_moves_on_with_the_log(reader: str) -> None:
    source, landed = filled(6), follow(reader)
    landed.run(source)
    for _ in range(20):  # transactions of other tables
        source.begin().commit()
        source.clean_up(below=source.captured - 10)
        landed.run(source)
    assert not landed.gaps
    assert landed.landed.token is not None
    assert Watched.parse(landed.landed.token).token == source.high_mark(TABLE, MARKERS[reader] or Marker("cdc"))


def test_p09_a_reader_killed_inside_a_transaction_tells_every_change_once_and_in_order() -> None:
    source = filled(3, block_rows=1)
    source.put(row("2026", "009", "a", "outside"))
    whole = follow("cdc")
    whole.run(source)
    transaction = source.begin()
    transaction.put(row("2026", "000", "a", "one"))
    transaction.remove(key(1))
    transaction.put(row("2026", "101", "a", "1.50"))
    transaction.remove(("2026", "101", "a"))
    transaction.put(row("2026", "201", "a", "two"))
    transaction.commit()
    source.put(row("2026", "000", "a", "behind"))
    base = whole.landed.copy()
    whole.run(source)
    assert [op for op, _, _ in whole.told] == ["u", "d", "c", "d", "c", "u"]
    for killed_after in range(1, 7):
        cut = follow("cdc")
        cut.landed, cut.is_loaded = base.copy(), True
        while not cut.run(source, batches=killed_after):
            pass
        assert cut.told == whole.told
        assert cut.landed.rows == source.rows


def test_p09_an_update_that_moves_a_key_is_the_end_of_one_row_and_the_beginning_of_another() -> None:
    source, landed = filled(2), follow("cdc")
    landed.run(source)
    moved = row("2026", "077", "a", "1.50")
    old = source.rows.pop(key(0))
    source.put(moved)
    source.log[-1].op, source.log[-1].before = "u", old
    landed.run(source)
    assert [(op, told) for op, told, _ in landed.told] == [("d", key(0)), ("c", ("2026", "077", "a"))]
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize("reader", MARKERS)
def test_p10_what_is_written_while_a_table_is_loaded_is_not_overwritten_by_what_was_before(reader: str) -> None:
    source, landed = filled(20), follow(reader)
    turn = iter(range(1, 1_000))

    def change_behind_and_ahead() -> None:
        number = next(turn)
        source.put(row("2026", f"{number % 20:03}", "a", str(number)), row("2026", f"{900 - number:03}", "b", "new"))
        source.remove(("2026", f"{(number * 7) % 20:03}", "a"))

    source.between = change_behind_and_ahead
    landed.run(source)
    source.between = lambda: None
    landed.run(source)
    assert landed.landed.rows == source.rows


def test_p10_images_of_the_log_from_before_a_row_was_loaded_are_not_told_after_it() -> None:
    source, landed = filled(20), follow("cdc")
    turn = iter(range(1, 1_000))

    def write_while_ranges_are_read() -> None:
        if source.asked[-1] == "read":
            source.put(row("2026", "000", "a", str(next(turn))))

    source.between = write_while_ranges_are_read
    landed.run(source)
    source.between = lambda: None
    source.put(row("2026", "000", "a", str(next(turn))))
    loaded = value_at(landed, 0)
    landed.run(source)
    told = [int(written["value"] or 0) for _, _, written in landed.told]
    assert loaded is not None
    assert int(loaded) > 1
    assert told == [int(loaded) + 1]
    assert landed.landed.rows == source.rows


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7])
def test_p12_keys_of_three_columns_are_read_once_across_the_edges_of_ranges(rows: int) -> None:
    source = MemorySource()
    source.put(*(row(y, n, p, f"{y}{n}{p}") for y in ("2025", "2026") for n in "123" for p in ("", "a", "b")))
    landed = follow("hash_diff", rows=rows)
    landed.run(source)
    assert landed.landed.rows == source.rows
    assert sum(known.digest.rows for known in landed.landed.ranges.values() if known.digest) == 18
    assert len(landed.landed.ranges) == 1 + 17 // rows


def test_p14_rows_without_a_whole_key_are_all_read_and_one_that_goes_is_gone() -> None:
    source, landed = filled(9), follow("hash_diff")
    lonely: list[Row] = [row(None, "1", "a", "x"), row("2026", None, "a", "y"), row(None, None, None, "z")]
    source.keyless = list(lonely)
    source.between = lambda: source.put(row("2026", f"{len(source.rows):03}", "a", "during"))
    landed.run(source)
    source.between = lambda: None
    assert landed.landed.keyless == lonely
    source.keyless = lonely[1:]
    landed.run(source)
    assert landed.landed.keyless == lonely[1:]
    assert landed.landed.rows == source.rows
    source.keyless = []
    landed.run(source)
    assert landed.landed.keyless == []


def test_p18_a_row_that_goes_before_the_join_is_never_overwritten_with_nulls() -> None:
    source, landed = filled(3), follow("change_tracking")
    landed.run(source)
    source.put(row("2026", "001", "a", "changed"))
    source.before_join = lambda: source.remove(key(1)) if key(1) in source.rows else None
    landed.run(source)
    source.before_join = lambda: None
    assert all(written["value"] is not None for written in landed.landed.rows.values())
    landed.run(source)
    assert landed.landed.rows == source.rows
    assert key(1) not in landed.landed.rows


def test_p20_a_reader_of_ranges_sees_that_a_table_was_emptied() -> None:
    source, landed = filled(9), follow("hash_diff")
    landed.run(source)
    source.rows.clear()
    source.put(row("2026", "100", "a", "loaded again"))
    landed.run(source)
    assert landed.landed.rows == source.rows


def test_p21_of_two_capture_instances_the_older_is_read_up_to_where_the_newer_begins() -> None:
    source, landed = filled(3), follow("cdc")
    landed.run(source)
    source.put(row("2026", "001", "a", "old instance"))
    source.instances["two"] = source.captured + 1
    source.put(row("2026", "002", "a", "new instance"))
    landed.base = TableState(TABLE, MARKERS["cdc"], instances=("one", "two"))
    read: list[tuple[str | None, str | None, str]] = []
    changed = source.changed

    def noted(table: Any, marker: Marker, since: str | None, until: str, **more: Any) -> Any:
        read.append((marker.instance, since, until))
        return changed(table, marker, since, until, **more)

    source.changed = noted  # type: ignore[method-assign]
    landed.run(source)
    switch = lsn(source.instances["two"] - 1)
    assert read == [("one", lsn(10), switch), ("two", switch, lsn(30))]
    assert len(landed.told) == 2
    assert landed.landed.rows == source.rows
    source.put(row("2026", "000", "a", "after"))
    landed.run(source)
    assert read[2:] == [("two", lsn(30), lsn(40))]


def test_p21_an_instance_that_was_changed_while_nobody_read_is_a_gap() -> None:
    source, landed = filled(3), follow("cdc")
    landed.run(source)
    source.put(row("2026", "001", "a", "between two instances"))
    source.instances = {"two": source.captured + 1}
    landed.base = TableState(TABLE, Marker("cdc", instance="two"), instances=("two",))
    landed.run(source)
    assert len(landed.gaps) == 1
    assert landed.landed.rows == source.rows


def test_p22_a_log_that_stands_still_while_the_table_changes_gives_an_alarm() -> None:
    source, landed = filled(3), follow("cdc")
    landed.run(source)
    landed.run(source)
    source.is_capturing = False
    source.put(row("2026", "001", "a", "not captured"))
    source.clock += CHECKED_EVERY
    landed.run(source)
    assert not landed.stalls  # a capture needs some time
    source.clock += PATIENCE
    landed.run(source)
    (stalled,) = landed.stalls
    assert stalled.table == "land"
    assert datetime.fromisoformat(stalled.since) < source.now()
    source.capture()
    landed.run(source)
    assert len(landed.stalls) == 1
    assert landed.landed.rows == source.rows


def test_p22_a_log_that_stands_still_because_nothing_changes_gives_none() -> None:
    source, landed = filled(3), follow("cdc")
    for _ in range(5):
        landed.run(source)
        source.clock += CHECKED_EVERY + PATIENCE
    assert not landed.stalls


@pytest.mark.parametrize("reader", MARKERS)
def test_p23_a_reader_holds_one_block_of_a_huge_change(reader: str) -> None:
    source, landed = filled(400, block_rows=7), follow(reader, rows=50)
    landed.run(source)
    source.put(*({**written, "value": "all changed"} for written in list(source.rows.values())))
    given: list[pl.DataFrame] = []
    for batch in read_table(source, landed.state, chunk=landed.chunk):
        for block in batch.blocks:
            assert block.height <= 7
            given.append(block.select("value"))
    assert sum(block.height for block in given) >= 400


class ManyTables(MemorySource):
    """One table under many names, and how often anything was asked."""

    def digests(self, asked: Any) -> list[Digest | None]:
        self.asked.append("digests")
        other: list[Asked] = list(asked)
        return [Digest(9, 1, 1) if one.table.name == "changed" else Digest(9, 9, 9) for one in other]


def test_p24_three_hundred_idle_tables_cost_one_question() -> None:
    source = ManyTables()
    names = [f"table_{number}" for number in range(299)] + ["changed"]
    states = [
        TableState(
            TABLE.model_copy(update={"name": name}),
            is_loaded=True,
            ranges=(Range(1, Bounds(), Digest(9, 9, 9)),),
        )
        for name in names
    ]
    assert changed_tables(source, states) == {"changed"}
    assert source.asked == ["digests"]


def test_p24_tables_that_one_digest_cannot_answer_for_are_named() -> None:
    source = filled(3)
    loaded = TableState(TABLE, is_loaded=True, ranges=(Range(1),))
    large = TableState(TABLE, is_loaded=True, ranges=(Range(1, Bounds(), Digest(60_000, 1, 1)),))
    timed = TableState(TABLE, Marker("timestamp", "t"), token="2026-01-01 00:00:00", is_loaded=True)
    moved = TableState(TABLE, MARKERS["rowversion"], token="0x0000000000000001", is_loaded=True)
    for state in (TableState(TABLE), loaded, large, timed, moved):
        assert changed_tables(source, [state]) == {"land"}


def test_p24_logs_that_have_not_moved_are_idle_without_a_look_at_their_rows() -> None:
    source = filled(3)
    for reader in LOGS:
        landed = follow(reader)
        landed.run(source)
        landed.run(source)
        source.asked.clear()
        assert changed_tables(source, [landed.state]) == set()
        assert source.asked == []
        source.put(row("2026", "001", "a", reader))
        assert changed_tables(source, [landed.state]) == {"land"}


def test_p27_a_change_in_the_hour_that_autumn_repeats_arrives() -> None:
    source, landed = filled(3), follow("timestamp", overlap_seconds=7_200)
    source.clock, source.local_offset = datetime(2026, 11, 1, 8, 20, tzinfo=UTC), timedelta(hours=-7)
    landed.run(source)  # 01:20, daylight time
    source.clock += timedelta(minutes=35)
    source.put(row("2026", "000", "a", "01:55 daylight time"))
    landed.run(source)
    source.clock, source.local_offset = datetime(2026, 11, 1, 9, 10, tzinfo=UTC), timedelta(hours=-8)
    source.put(row("2026", "001", "a", "01:10 standard time"))
    landed.run(source)
    source.clock += timedelta(minutes=20)
    source.put(row("2026", "002", "a", "01:30 standard time"))
    landed.run(source)
    assert landed.landed.rows == source.rows
    source.clock += timedelta(hours=1)
    landed.run(source)
    assert landed.landed.rows == source.rows
    assert not landed.gaps


def test_p36_a_pair_of_equal_rows_that_comes_and_goes_changes_the_digest() -> None:
    twice = pl.Series(["0f" * 16] * 2)
    assert Digest.of(twice) != Digest()
    assert Digest.of(twice) != Digest.of(pl.Series(["aa" * 16] * 2))
    assert Digest.parse(str(Digest.of(twice))) == Digest.of(twice)


@pytest.mark.parametrize("skew", [timedelta(minutes=-10), timedelta(minutes=10)])
def test_p37_marks_are_of_the_servers_clock(skew: timedelta) -> None:
    source, landed = filled(3), follow("timestamp")
    source.clock = datetime.now(UTC) + skew
    landed.run(source)
    assert landed.landed.token is not None
    moment = datetime.fromisoformat(landed.landed.token).replace(tzinfo=UTC)
    assert abs(moment - source.clock) < timedelta(seconds=1)
    source.put(row("2026", "001", "a", "changed"))
    landed.run(source)
    assert landed.landed.rows == source.rows
