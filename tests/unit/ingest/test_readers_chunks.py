"""How ranges are cut, grow, shrink and are asked for; and how the size of a chunk follows what was read."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.readers import compare
from services.ingest.readers.batch import Range, TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.sources.source import Bounds, Digest, Key
from tests.support.landing_model import Landing
from tests.support.memory_source import TABLE, MemorySource, row


def landing(rows: int = 4, **more: bool) -> Landing:
    return Landing(TableState(TABLE, **more), chunk=ChunkSize(rows=rows, fewest=rows, most=rows))  # type: ignore[arg-type]


def put(source: MemorySource, *numbers: int, value: str = "1") -> None:
    source.put(*(row("2026", f"{number:04}", "a", value) for number in numbers))


def key(number: int) -> Key:
    return ("2026", f"{number:04}", "a")


def filled(*numbers: int) -> MemorySource:
    source = MemorySource()
    put(source, *numbers)
    return source


def assert_partition(landed: Landing, source: MemorySource) -> None:
    ranges = compare.ordered(list(landed.landed.ranges.values()))
    assert len(ranges) == len(landed.landed.ranges)
    assert landed.landed.rows == source.rows
    assert sum(known.digest.rows for known in ranges if known.digest) == len(source.rows)
    assert set(landed.landed.placed.values()) <= {known.number for known in ranges}
    assert [source.digests([_asked(known)])[0] for known in ranges] == [known.digest for known in ranges]


def _asked(known: Range) -> compare.Asked:
    return compare.Asked(TABLE, known.bounds)


def test_nothing_is_read_of_ranges_that_are_equal_and_one_question_asks_for_all() -> None:
    source, landed = filled(*range(40)), landing()
    landed.run(source)
    source.asked.clear()
    landed.batches.clear()
    landed.run(source)
    assert source.asked == ["digests"]
    assert [batch.rows_compared for batch in landed.batches if batch.is_compared] == [40]


def test_only_the_range_that_differs_is_read() -> None:
    source, landed = filled(*range(40)), landing()
    landed.run(source)
    source.asked.clear()
    landed.batches.clear()
    put(source, 17, value="2")
    landed.run(source)
    assert source.asked.count("read") == 1
    assert sum(batch.rows_compared for batch in landed.batches) == 36
    assert_partition(landed, source)


def test_a_range_that_grew_beyond_twice_the_chunk_is_cut_and_keeps_its_number_for_the_rest() -> None:
    source, landed = filled(*range(0, 400, 10)), landing()
    landed.run(source)
    ranges = dict(landed.landed.ranges)
    put(source, *range(101, 130))
    landed.batches.clear()
    landed.run(source)
    assert len(landed.landed.ranges) > len(ranges)
    assert set(ranges) <= set(landed.landed.ranges)
    assert max(known.digest.rows for known in landed.landed.ranges.values() if known.digest) <= 8
    assert_partition(landed, source)


def test_the_last_range_that_grew_is_cut_too() -> None:
    source, landed = filled(*range(8)), landing()
    landed.run(source)
    put(source, *range(8, 60))
    landed.run(source)
    assert max(known.digest.rows for known in landed.landed.ranges.values() if known.digest) <= 8
    assert_partition(landed, source)


def test_neighbours_that_shrank_become_one_range() -> None:
    source, landed = filled(*range(40)), landing(rows=8)
    landed.run(source)
    source.remove(*(key(number) for number in range(2, 38)))
    landed.run(source)
    assert sorted(known.digest.rows for known in landed.landed.ranges.values() if known.digest) == [4]
    assert_partition(landed, source)


def test_rows_that_go_while_a_grown_range_is_cut_leave_no_hole() -> None:
    source, landed = filled(*range(0, 400, 10)), landing()
    landed.run(source)
    put(source, *range(101, 130))
    asked = iter(range(1_000))

    def shrink() -> None:
        if next(asked) == 1:  # once the digests are known
            source.remove(*(key(number) for number in range(101, 130)))

    source.between = shrink
    landed.run(source)
    source.between = lambda: None
    landed.run(source)
    assert_partition(landed, source)


@settings(max_examples=200, deadline=None)
@given(
    first=st.sets(st.integers(0, 99)),
    passes=st.lists(st.tuples(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99))), max_size=3),
    kills=st.lists(st.integers(1, 5), max_size=3),
    rows=st.integers(1, 5),
)
def test_ranges_are_a_partition_whatever_comes_and_goes_and_wherever_it_is_killed(
    first: set[int], passes: list[tuple[set[int], set[int]]], kills: list[int], rows: int
) -> None:
    source, landed = filled(*first), landing(rows)
    landed.run(source)
    for come, go in passes:
        put(source, *come, value="2")
        source.remove(*(key(number) for number in go))
        for batches in kills:
            if landed.run(source, batches=batches):
                break
        landed.run(source)
        landed.run(source)
        assert_partition(landed, source)


def test_a_source_that_cannot_hash_is_read_as_one_range_every_time() -> None:
    source, landed = filled(*range(40)), landing(is_ranged=False)
    source.can_digest = False
    for value in ("1", "2"):
        put(source, 7, value=value)
        source.asked.clear()
        landed.run(source)
        assert source.asked.count("read") == 1
        assert [known.bounds for known in landed.landed.ranges.values()] == [Bounds()]
        assert landed.landed.rows == source.rows


def test_a_full_pass_reads_every_range_whatever_its_digest() -> None:
    source, landed = filled(*range(40)), landing()
    landed.run(source)
    source.asked.clear()
    landed.run(source, mode="full")
    assert source.asked.count("read") == 10
    assert "digests" not in source.asked
    assert_partition(landed, source)


def test_state_that_was_lost_is_rebuilt_by_cutting_anew() -> None:
    source, landed = filled(*range(40)), landing()
    landed.run(source)
    source.remove(key(3))
    landed.landed.ranges.clear()
    landed.landed.placed = dict.fromkeys(landed.landed.placed)
    landed.run(source)
    assert_partition(landed, source)


def test_ranges_that_do_not_join_are_refused() -> None:
    with pytest.raises(ValueError, match="do not cover"):
        compare.ordered([Range(1, Bounds(None, ("a",))), Range(2, Bounds(("b",), None))])


def test_round_trips_are_limited_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    source, landed = filled(*range(40)), landing()
    landed.run(source)
    monkeypatch.setattr(compare, "ASKED_ROWS", 12)
    source.asked.clear()
    landed.run(source)
    assert source.asked == ["digests"] * 4


@pytest.mark.parametrize(
    ("seconds", "size_bytes", "expected"),
    [(2.0, 1, 5_000), (1.0, 1, 10_000), (0.01, 1, 20_000), (20.0, 1, 1_000), (0.01, 32 * 1024 * 1024, 2_500)],
)
def test_a_chunk_aims_at_the_time_and_the_size_allowed(seconds: float, size_bytes: int, expected: int) -> None:
    chunk = ChunkSize(seconds=2, rows=5_000)
    chunk.adapt(5_000, size_bytes, seconds)
    assert chunk.rows == expected


def test_a_chunk_has_from_a_thousand_to_fifty_thousand_rows() -> None:
    chunk = ChunkSize(seconds=2, rows=5_000)
    for _ in range(5):
        chunk.adapt(chunk.rows, 1, 0.001)
    assert chunk.rows == 50_000
    for _ in range(5):
        chunk.adapt(chunk.rows, 1, 1_000)
    assert chunk.rows == 1_000
    chunk.adapt(10, 1, 0.000_001)
    assert chunk.rows == 1_000


def test_only_the_sources_time_counts_for_a_chunk() -> None:
    times = iter([0.0, 1.0, 50.0, 51.0, 90.0, 90.0])
    chunk = ChunkSize(seconds=4, rows=1_000, clock=lambda: next(times))
    blocks = iter([pl.DataFrame({"a": ["x"] * 1_000}), pl.DataFrame({"a": ["x"] * 1_000})])
    assert sum(block.height for block in chunk.metered(blocks)) == 2_000
    assert chunk.rows == 4_000


def test_a_digest_known_of_nothing_is_asked_for_again() -> None:
    source, landed = filled(*range(8)), landing()
    landed.run(source)
    number, known = next(iter(landed.landed.ranges.items()))
    landed.landed.ranges[number] = Range(number, known.bounds, None)
    source.asked.clear()
    landed.run(source)
    assert source.asked.count("read") == 1
    assert landed.landed.ranges[number].digest == known.digest
    assert isinstance(known.digest, Digest)
