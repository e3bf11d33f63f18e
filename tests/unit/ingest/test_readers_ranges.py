"""Readers against a source in memory: what is landed after a quiet pass equals the source, whatever happened before."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.readers.batch import TableState
from services.ingest.readers.chunk import ChunkSize
from services.ingest.sources.source import Content, Marker
from tests.support.landing_model import Landing
from tests.support.memory_source import TABLE, MemorySource, row

MARKERS: dict[str, Marker | None] = {
    "hash_diff": None,
    "rowversion": Marker("rowversion", "tsRowVersion"),
    "timestamp": Marker("timestamp", "changed_at"),
    "change_tracking": Marker("change_tracking"),
    "cdc": Marker("cdc", instance="one"),
}
PARTS = st.sampled_from(["a", "A", "b", "", " ", "ä"])
KEYS = st.tuples(st.sampled_from(["2025", "2026"]), st.sampled_from("12345"), PARTS)
VALUES = st.sampled_from(["1.50", "-1.50", "", None])
WRITES = st.lists(st.tuples(KEYS, st.one_of(st.just("gone"), VALUES)), max_size=12)


def small_chunks(rows: int = 4) -> ChunkSize:
    return ChunkSize(rows=rows, fewest=rows, most=rows)


def landing(reader: str, *, rows: int = 4) -> Landing:
    marker = MARKERS[reader]
    content: Content = "key" if reader in {"rowversion", "timestamp"} else "row"
    return Landing(TableState(TABLE, marker, content), chunk=small_chunks(rows))


def write(source: MemorySource, writes: list[tuple[tuple[str, str, str], str | None]]) -> None:
    for key, value in writes:
        if value == "gone":
            source.remove(key)
        else:
            source.put(row(*key, value))


def interleaved(source: MemorySource, writes: list[tuple[tuple[str, str, str], str | None]]) -> Callable[[], None]:
    """One write before every answer of the source, as long as there are some."""
    left = list(writes)

    def step() -> None:
        if left:
            write(source, [left.pop()])

    return step


def assert_equal(landed: Landing, source: MemorySource) -> None:
    assert landed.landed.rows == source.rows
    assert landed.landed.keyless == source.keyless


@pytest.mark.parametrize("reader", MARKERS)
@settings(max_examples=60, deadline=None)
@given(before=WRITES, passes=st.lists(st.tuples(WRITES, WRITES), max_size=4))
def test_p10_writes_between_and_during_passes_are_landed(reader: str, before: list, passes: list) -> None:
    source, landed = MemorySource(), landing(reader)
    write(source, before)
    for ahead, meanwhile in passes:
        write(source, ahead)
        source.between = interleaved(source, meanwhile)
        landed.run(source)
    source.between = lambda: None
    landed.run(source)
    assert_equal(landed, source)
    assert not landed.gaps


@pytest.mark.parametrize("reader", MARKERS)
@settings(max_examples=60, deadline=None)
@given(before=WRITES, later=WRITES, meanwhile=WRITES, kills=st.lists(st.integers(1, 9), max_size=6))
def test_a_pass_that_is_killed_goes_on_after_its_last_batch(
    reader: str, before: list, later: list, meanwhile: list, kills: list[int]
) -> None:
    source, landed = MemorySource(), landing(reader)
    write(source, before)
    landed.run(source)
    write(source, later)
    source.between = interleaved(source, meanwhile)
    for batches in kills:
        landed.run(source, batches=batches)
    source.between = lambda: None
    landed.run(source)
    landed.run(source)
    assert_equal(landed, source)


@settings(max_examples=40, deadline=None)
@given(before=WRITES, kills=st.lists(st.integers(1, 4), max_size=6))
def test_a_first_load_that_is_killed_goes_on_after_its_last_range(before: list, kills: list[int]) -> None:
    source, landed = MemorySource(), landing("hash_diff", rows=2)
    write(source, before)
    for batches in kills:
        landed.run(source, batches=batches)
    landed.run(source)
    assert_equal(landed, source)
    assert list(landed.landed.ranges) == sorted(landed.landed.ranges)


@pytest.mark.parametrize("reader", MARKERS)
@pytest.mark.parametrize("killed_after", range(1, 9))
def test_a_pass_that_is_killed_ends_with_the_token_of_one_that_is_not(reader: str, killed_after: int) -> None:
    tokens = []
    for is_killed in (True, False):
        source, landed = MemorySource(), landing(reader, rows=50)
        source.put(*(row("2026", str(number), "a", "1") for number in range(20)))
        landed.run(source)
        source.put(*(row("2026", str(number), "a", "2") for number in range(3)))
        source.remove(("2026", "9", "a"))
        if is_killed:
            landed.run(source, batches=killed_after)
        landed.run(source)
        tokens.append((landed.landed.token or "none").split()[0])  # behind it stands when a log was last seen to move
        assert_equal(landed, source)
    assert tokens[0] == tokens[1]
