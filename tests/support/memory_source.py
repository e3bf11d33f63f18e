"""A source in memory, as a model for readers: keys compare as Python compares texts, and time passes when it is told.

Every write is a transaction of its own or part of one that is open; logs and row versions are kept as a server would.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5

import polars as pl

from contracts.mapping import ColumnType, SourceTable
from services.ingest.sources.source import (
    HASH,
    WHOLE,
    Asked,
    Bounds,
    Catalog,
    Content,
    Digest,
    Key,
    Marker,
    Source,
    SourceFacts,
)

Row = dict[str, str | None]

TABLE = SourceTable(
    name="land",
    key=("year", "id", "part"),
    columns=dict.fromkeys(("year", "id", "part", "value", "note"), ColumnType.TEXT),
)


def row(year: str | None, number: str | None, part: str | None, value: str | None, note: str | None = None) -> Row:
    return {"year": year, "id": number, "part": part, "value": value, "note": note}


def lsn(number: int) -> str:
    return f"{number:020x}"


@dataclass
class Change:
    """An entry of a log."""

    commit: int
    sequence: int
    op: str
    key: Key
    after: Row | None
    before: Row | None


@dataclass
class Transaction:
    """Writes that nobody sees before they are committed."""

    source: "MemorySource"
    writes: list[tuple[Key, Row | None, int, str]] = field(default_factory=list)

    def put(self, written: Row) -> None:
        self.writes.append((self.source.key(written), written, self.source.next_version(), self.source.stamp()))

    def remove(self, key: Key) -> None:
        self.writes.append((key, None, self.source.next_version(), self.source.stamp()))

    def commit(self) -> None:
        self.source.commit(self)

    def roll_back(self) -> None:
        self.source.open.remove(self)


class MemorySource(Source):
    """One table; `between` is called before every block and every answer, to write meanwhile."""

    database = "memory"

    def __init__(self, table: SourceTable = TABLE, *, block_rows: int = 3) -> None:
        self.table, self.block_rows = table, block_rows
        self.is_consistent = False
        self.rows: dict[Key, Row] = {}
        self.keyless: list[Row] = []
        self.versions: dict[Key, int] = {}
        self.stamps: dict[Key, str] = {}
        self.open: list[Transaction] = []
        self.log: list[Change] = []
        self.captured = 0
        self.is_capturing = True
        self.instances: dict[str, int] = {"one": 1}
        self.least_version = 0
        self.clock = datetime(2026, 3, 1, 8, tzinfo=UTC)
        self.local_offset = timedelta(0)
        self.between: Callable[[], None] = lambda: None
        self.before_join: Callable[[], None] = lambda: None
        self.can_digest = True
        self.asked: list[str] = []
        self.held_rows = 0
        self._version = self._commit = 0

    # what its owner does
    def key(self, written: Row) -> Key:
        return tuple(written[name] for name in self.table.key)

    def next_version(self) -> int:
        self._version += 1
        return self._version

    def stamp(self) -> str:
        return (self.clock + self.local_offset).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")

    def begin(self) -> Transaction:
        self.clock += timedelta(milliseconds=1)
        self.open.append(Transaction(self))
        return self.open[-1]

    def put(self, *written: Row) -> None:
        transaction = self.begin()
        for one in written:
            transaction.put(one)
        transaction.commit()

    def remove(self, *keys: Key) -> None:
        transaction = self.begin()
        for key in keys:
            transaction.remove(key)
        transaction.commit()

    def commit(self, transaction: Transaction) -> None:
        self.open.remove(transaction)
        self._commit += 10
        for sequence, (key, written, version, stamp) in enumerate(transaction.writes, start=1):
            before = self.rows.get(key)
            if written is None:
                if before is None:
                    continue
                del self.rows[key]
            else:
                self.rows[key], self.versions[key], self.stamps[key] = dict(written), version, stamp
            op = "d" if written is None else "u" if before is not None else "c"
            self.log.append(Change(self._commit, sequence, op, key, written, before))
        if self.is_capturing:
            self.capture()

    def capture(self) -> None:
        self.captured = self._commit

    def clean_up(self, below: int) -> None:
        """What a retention job does to the log."""
        self.log = [change for change in self.log if change.commit >= below]
        self.instances = {name: max(low, below) for name, low in self.instances.items()}
        self.least_version = below

    # what a reader asks
    def catalog(self) -> Catalog:
        return {}

    def facts(self) -> SourceFacts:
        return SourceFacts("memory", "1")

    def now(self) -> datetime:
        return self.clock

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        self._answer("boundary")
        keys = self._keys(Bounds(after, None))
        return keys[rows] if len(keys) > rows else None

    def read(
        self, table: SourceTable, *, bounds: Bounds = WHOLE, years: tuple[int, ...] = (), content: Content = "row"
    ) -> Iterator[pl.DataFrame]:
        """Blocks are read one after the other, and each sees what is committed by then."""
        self.asked.append("read")
        last: Key | None = None
        while True:
            self.between()
            keys = [key for key in self._keys(bounds) if last is None or key > last][: self.block_rows]
            if not keys:
                return
            last = keys[-1]
            yield self._frame([self.rows[key] for key in keys], content)

    def read_keyless(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        if self.keyless:
            yield self._frame(self.keyless, "row")

    def read_keyed(
        self,
        table: SourceTable,
        columns: tuple[str, ...],
        values: Sequence[Key],
        *,
        bounds: Bounds = WHOLE,
        years: tuple[int, ...] = (),
        content: Content = "row",
    ) -> Iterator[pl.DataFrame]:
        self._answer("read_keyed")
        rows = [self.rows[key] for key in self._keys(bounds)]
        yield self._frame([r for r in rows if tuple(r[name] for name in columns) in set(values)], content)

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        self._answer("digests")
        if not self.can_digest:
            return [None for _ in asked]
        return [Digest.of(self._frame([self.rows[k] for k in self._keys(a.bounds)], a.content)[HASH]) for a in asked]

    def high_mark(self, table: SourceTable, marker: Marker) -> str:
        match marker.kind:
            case "rowversion":
                used = [write[2] for transaction in self.open for write in transaction.writes]
                return f"0x{min([*used, self._version + 1]):016X}"
            case "timestamp":
                self.clock += timedelta(milliseconds=1)
                return self.stamp()
            case "change_tracking":
                return str(self._commit)
            case _:
                return lsn(self.captured)

    def low_mark(self, table: SourceTable, marker: Marker) -> str | None:
        match marker.kind:
            case "change_tracking":
                return str(self.least_version)
            case "cdc":
                return lsn(self.instances[marker.instance or ""] - 1)
            case _:
                return None

    def changed(
        self, table: SourceTable, marker: Marker, since: str | None, until: str, *, years: tuple[int, ...] = ()
    ) -> Iterator[pl.DataFrame]:
        self.asked.append("changed")
        match marker.kind:
            case "rowversion":
                low, high = int(since or "0", 16), int(until, 16)
                yield from self._marked([k for k in sorted(self.rows) if low <= self.versions[k] < high])
            case "timestamp":
                yield from self._marked([k for k in sorted(self.rows) if (since or "") <= self.stamps[k] < until])
            case "change_tracking":
                yield from self._tracked(int(since or "0"), int(until))
            case _:
                yield from self._captured(marker, int(since or "0", 16), int(until, 16))

    def _marked(self, keys: list[Key]) -> Iterator[pl.DataFrame]:
        for begin in range(0, len(keys), self.block_rows):
            self.between()
            found = [self.rows[key] for key in keys[begin : begin + self.block_rows] if key in self.rows]
            yield self._frame(found, "row")

    def _tracked(self, since: int, until: int) -> Iterator[pl.DataFrame]:
        net = {c.key: c for c in self.log if since < c.commit <= until}
        self.before_join()
        for key, change in sorted(net.items()):
            self.between()
            current = self.rows.get(key)
            empty: Row = dict(dict.fromkeys(self.table.columns, None), **dict(zip(self.table.key, key, strict=True)))
            gone = change.op == "d"
            frame = self._frame([empty if current is None or gone else current], "row")
            if current is None or gone:
                frame = frame.with_columns(pl.lit(None, pl.String).alias(HASH))
            yield frame.with_columns(**_told(change))

    def _captured(self, marker: Marker, since: int, until: int) -> Iterator[pl.DataFrame]:
        low = self.instances[marker.instance or ""]
        found = [c for c in self.log if since < c.commit <= min(until, self.captured) and c.commit >= low]
        for begin in range(0, len(found), self.block_rows):
            self.between()
            frames = []
            for change in found[begin : begin + self.block_rows]:
                frame = self._frame([change.after or change.before or {}], "row")
                frames.append(frame.with_columns(**_told(change)))
            self.held_rows = max(self.held_rows, len(frames))
            yield pl.concat(frames)

    def _answer(self, name: str) -> None:
        self.asked.append(name)
        self.between()

    def _keys(self, bounds: Bounds) -> list[Key]:
        lower, upper = bounds.lower, bounds.upper
        return sorted(k for k in self.rows if (lower is None or k >= lower) and (upper is None or k < upper))  # type: ignore[operator]

    def _frame(self, rows: Sequence[Row], content: Content) -> pl.DataFrame:
        names = self.table.key if content == "key" else tuple(self.table.columns)
        hashes = [md5(json.dumps([(n, r[n]) for n in names]).encode()).hexdigest() for r in rows]
        schema = dict.fromkeys(self.table.columns, pl.String)
        return pl.DataFrame(list(rows), schema=schema, orient="row").with_columns(pl.Series(HASH, hashes, pl.String))


def _told(change: Change) -> dict[str, pl.Expr]:
    before = json.dumps(change.before) if change.before is not None else None
    told = {"op": change.op, "token": lsn(change.commit), "sequence": lsn(change.sequence)}
    texts = {**told, "transaction": lsn(change.commit), "before": before}
    return {f"@{name}": pl.lit(value, pl.String) for name, value in texts.items()}
