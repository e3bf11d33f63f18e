"""Reading around rows that cannot be read, over a source of plain rows with faults put into it."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import PermanentError, TransientError
from contracts.following import Following
from contracts.mapping import SourceTable
from services.ingest.operation import bisect
from services.ingest.operation.gentle import GentleSource
from services.ingest.operation.pace import Pace
from services.ingest.sources.source import HASH, WHOLE, Asked, Bounds, Digest, Key

TABLE = SourceTable(name="property", key=("id",), columns={"id": "integer", "value": "text"})
UNREADABLE = PermanentError("source_row_unreadable", "a value cannot be read")


class Rows:
    """The rows of one table; `poison` ones break every read and every digest of rows that has them in it."""

    database = "pacs"

    def __init__(self, keys: list[int], poison: set[int], *, is_consistent: bool = True) -> None:
        self.keys, self.poison = sorted(keys), poison
        self.is_consistent = is_consistent
        self.faults: list[Exception] = []
        self.reads = 0

    def within(self, bounds: Bounds) -> list[int]:
        lower = -1 if bounds.lower is None else int(bounds.lower[0] or 0)
        upper = 10**9 if bounds.upper is None else int(bounds.upper[0] or 0)
        return [key for key in self.keys if lower <= key < upper]

    def read(
        self, table: SourceTable, *, bounds: Bounds = WHOLE, years: tuple[int, ...] = (), content: str = "row"
    ) -> Iterator[pl.DataFrame]:
        self.reads += 1
        for key in self.within(bounds):
            if self.faults:
                raise self.faults.pop(0)
            if key in self.poison:
                raise UNREADABLE
            yield pl.DataFrame({"id": [str(key)], "value": ["x"], HASH: [f"{key:032x}"]})

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        left = self.within(Bounds(after))
        return (str(left[rows]),) if rows < len(left) else None

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        if any(one.content == "row" and self.poison & set(self.within(one.bounds)) for one in asked):
            raise UNREADABLE
        return [Digest(len(self.within(one.bounds))) for one in asked]


def gentle(rows: Any) -> GentleSource:
    pace = Pace(Following(), "UTC", stop=threading.Event(), check=lambda: None)
    pace.wait = list[float]().append  # type: ignore[assignment, method-assign]
    return GentleSource(rows, county="benton", pair="benton_pacs", pace=pace)


def read(source: GentleSource, bounds: Bounds = WHOLE) -> list[int]:
    return [int(key) for block in source.read(TABLE, bounds=bounds) for key in block["id"]]


@settings(deadline=None)
@given(
    keys=st.sets(st.integers(0, 400), min_size=1, max_size=60),
    poison=st.sets(st.integers(0, 400), max_size=8),
    lower=st.none() | st.integers(0, 400),
    upper=st.none() | st.integers(0, 400),
)
def test_all_rows_are_read_but_the_poison(
    keys: set[int], poison: set[int], lower: int | None, upper: int | None
) -> None:
    rows = Rows(list(keys), poison)
    bounds = Bounds(None if lower is None else (str(lower),), None if upper is None else (str(upper),))
    source = gentle(rows)
    found = read(source, bounds)
    expected = rows.within(bounds)
    assert found == [key for key in expected if key not in poison]
    assert sorted(int(key[0] or "") for key in source.take_unreadable("property")) == sorted(poison & set(expected))
    assert source.take_unreadable("property") == []


def test_one_bad_row_of_many_costs_few_reads() -> None:
    rows = Rows(list(range(10_000)), {7_777})
    source = gentle(rows)
    assert len(read(source)) == 9_999
    assert source.take_unreadable("property") == [("7777",)]
    assert rows.reads <= 2 * 15


def test_a_table_that_is_all_poison_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bisect, "MOST_POISON", 5)
    with pytest.raises(PermanentError, match="cannot be read"):
        read(gentle(Rows(list(range(40)), set(range(20)))))


def test_a_range_with_poison_has_no_digest_and_the_others_have() -> None:
    source = gentle(Rows(list(range(100)), {42}))
    asked = [Asked(TABLE, Bounds((str(start),), (str(start + 10),))) for start in range(0, 100, 10)]
    found = source.digests(asked)
    assert [number for number, digest in enumerate(found) if digest is None] == [4]
    assert [digest.rows for digest in found if digest is not None] == [10] * 9


def test_a_read_that_met_a_lock_is_repeated_without_doubling_rows() -> None:
    rows = Rows(list(range(10)), set())
    reads = iter([TransientError("source_locked", ""), TransientError("source_locked", "")])
    plain = rows.read

    def breaking(*args: Any, **kwargs: Any) -> Iterator[pl.DataFrame]:
        blocks = plain(*args, **kwargs)
        yield next(blocks)
        if (fault := next(reads, None)) is not None:
            raise fault
        yield from blocks

    rows.read = breaking  # type: ignore[method-assign]
    assert read(gentle(rows)) == list(range(10))
    assert rows.reads == 3


@pytest.mark.parametrize(
    ("code", "is_consistent", "reads"),
    [
        ("source_unavailable", True, 1),
        ("source_deadlocked", True, 1),
        ("source_deadlocked", False, 2),
        ("source_locked", True, 2),
    ],
)
def test_only_what_can_be_repeated_on_the_same_connection_is(code: str, reads: int, *, is_consistent: bool) -> None:
    rows = Rows([1], set(), is_consistent=is_consistent)
    rows.faults = [TransientError(code, "")]
    if reads == 1:
        with pytest.raises(TransientError):
            read(gentle(rows))
    else:
        assert read(gentle(rows)) == [1]
    assert rows.reads == reads
