"""Random writers of a source, with a model of what they have committed; a seed decides everything that they do.

Several transactions are open at once and some stay open for long. No writer touches a key that another one's open
transaction has touched, so that none waits for a lock; what becomes visible, and when, is still in any order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
from psycopg import sql

type_key = tuple[Any, ...]
type_row = dict[str, Any]
Model = dict[str, dict[type_key, type_row]]

READERS_MARKS = """
ALTER TABLE dbo.{0} ADD COLUMN changed_at timestamp(3) NOT NULL DEFAULT clock_timestamp(),
  ADD COLUMN "tsRowVersion" bytea NOT NULL;
CREATE TRIGGER stamp_rowversion BEFORE INSERT OR UPDATE ON dbo.{0}
  FOR EACH ROW EXECUTE FUNCTION dbo.stamp_rowversion();
CREATE TRIGGER note_change BEFORE UPDATE ON dbo.{0} FOR EACH ROW EXECUTE FUNCTION dbo.note_change();
"""
DDL = """
CREATE FUNCTION dbo.note_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.changed_at = OLD.changed_at THEN NEW.changed_at := clock_timestamp(); END IF; RETURN NEW; END $$;
CREATE TABLE dbo.lot (lot_id integer PRIMARY KEY, number varchar(50), amount numeric(18,4), note varchar(200));
CREATE TABLE dbo.charge (lot_id integer, charge_cd char(5), amount numeric(38,10), paid boolean, note varchar(200),
  PRIMARY KEY (lot_id, charge_cd));
CREATE TABLE dbo.label (label_cd varchar(20) PRIMARY KEY, meaning varchar(60), set_at timestamp(3));
CREATE TABLE dbo.entry (entry_no integer NOT NULL, lot_id integer, amount numeric(14,2), note varchar(200));
""" + "".join(READERS_MARKS.format(table) for table in ("lot", "charge", "label", "entry"))

_NOTES = (
    None,
    "",
    "x",
    " x",
    "X",
    "ä",
    "quo'te",
    'a "b", c',
    "%s",
    "tab\there",
    "line\nbreak",
    "\\N",
    "NULL",
    "z" * 200,
)
_NUMBERS = ("0", "1", "-1", "0.5", "-0.5", "12.34", "100", "99999.9999")


@dataclass(frozen=True)
class Written:
    """A table that is written: how its keys and rows come about."""

    name: str
    key: tuple[str, ...]
    new_key: Callable[[Random], type_key]
    new_row: Callable[[Random], type_row]
    is_indexed: bool = True


def _amount(random: Random) -> Decimal | None:
    return None if random.random() < 0.1 else Decimal(random.choice(_NUMBERS))


TABLES = (
    Written(
        "lot",
        ("lot_id",),
        lambda random: (random.randint(-300, 900),),
        lambda random: {
            "number": random.choice(("A", "b", "", None, "L-1")),
            "amount": _amount(random),
            "note": random.choice(_NOTES),
        },
    ),
    Written(
        "charge",
        ("lot_id", "charge_cd"),
        lambda random: (random.randint(1, 60), random.choice(("A", "B", "AB", "-A", "a"))),
        lambda random: {
            "amount": Decimal(random.choice(("1e-10", "-1e-10", "12345678901234567890.1", "7"))),
            "paid": random.choice((True, False, None)),
            "note": random.choice(_NOTES),
        },
    ),
    Written(
        "label",
        ("label_cd",),
        lambda random: (random.choice("aAbBäzZ0-_.") + str(random.randint(1, 40)),),
        lambda random: {
            "meaning": random.choice(("", "meaning", "Meaning", None)),
            "set_at": random.choice(
                (None, "1900-01-01 00:00:00", "2026-11-01 01:30:00.003", "9999-12-31 23:59:59.997")
            ),
        },
    ),
    Written(
        "entry",
        ("entry_no",),
        lambda random: (random.randint(1, 400),),
        lambda random: {
            "lot_id": random.randint(1, 900),
            "amount": Decimal(random.choice(("1.10", "-1.10", "0"))),
            "note": random.choice(_NOTES),
        },
        is_indexed=False,
    ),
)


@dataclass
class _Transaction:
    """One writer's connection, and what it wrote since its transaction began."""

    connection: psycopg.Connection
    writes: dict[tuple[str, type_key], type_row | None] = field(default_factory=dict)
    is_open: bool = False


class RandomWriters:
    """Writes at random; `model` is what is committed."""

    def __init__(
        self,
        url: str,
        seed: int,
        *,
        tables: tuple[Written, ...] = TABLES,
        writers: int = 3,
        can_truncate: bool = True,
    ) -> None:
        self.seed, self.random, self.tables, self.can_truncate = seed, Random(seed), tables, can_truncate
        self.model: Model = {table.name: {} for table in tables}
        self.story: list[str] = []
        self.writers = [_Transaction(psycopg.connect(url)) for _ in range(writers)]

    def __str__(self) -> str:
        return f"seed {self.seed}; the last of {len(self.story)} acts: " + " | ".join(self.story[-25:])

    def fill(self, rows: int) -> None:
        """Rows to begin with, committed."""
        writer = self.writers[0]
        for table in self.tables:
            for _ in range(rows):
                self._insert(writer, table)
        self._commit(writer)

    def act(self, *, may_lock: bool = True) -> None:
        """One thing that one of the writers does; `may_lock` allows what waits for readers, as TRUNCATE does."""
        number = self.random.randrange(len(self.writers))
        writer, table = self.writers[number], self.random.choice(self.tables)
        if may_lock and self.can_truncate and self.random.random() < 0.01:
            self.settle()
            self.story.append(f"{number} reload {table.name}")
            self._reload(writer, table)
            return
        weights = {self._insert: 5, self._update: 8, self._rewrite: 2, self._tie: 1, self._delete: 3, self._move: 2}
        if writer.is_open:
            weights |= {self._end: 5}
        act: Any = self.random.choices(list(weights), list(weights.values()))[0]
        self.story.append(f"{number} {act.__name__.strip('_')} {table.name}")
        act(writer, table)

    def settle(self) -> None:
        """Ends every open transaction."""
        for writer in self.writers:
            self._end(writer, self.tables[0])

    def close(self) -> None:
        """Gives the connections up."""
        for writer in self.writers:
            writer.connection.close()

    def _visible(self, writer: _Transaction, table: Written) -> dict[type_key, type_row]:
        """Rows that the writer sees and may touch."""
        others = {
            key for other in self.writers if other is not writer for name, key in other.writes if name == table.name
        }
        seen = dict(self.model[table.name])
        for (name, key), row in writer.writes.items():
            if name == table.name:
                seen.pop(key, None)
                if row is not None:
                    seen[key] = row
        return {key: row for key, row in seen.items() if key not in others}

    def _pick(self, writer: _Transaction, table: Written) -> type_key | None:
        keys = sorted(self._visible(writer, table), key=repr)
        return self.random.choice(keys) if keys else None

    def _free(self, writer: _Transaction, table: Written) -> type_key | None:
        """A key that nobody has, and that nobody is about to have or to give up."""
        key = table.new_key(self.random)
        is_taken = key in self.model[table.name] or any((table.name, key) in w.writes for w in self.writers)
        was_mine = writer.writes.get((table.name, key), key) is None
        return key if was_mine or not is_taken else None

    def _run(self, writer: _Transaction, query: str, table: Written, **parts: Any) -> None:
        columns = parts.pop("columns", {})
        key = parts.pop("key", ())
        where = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
            for name, value in zip(table.key, key, strict=bool(key))
        )
        sets = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in columns.items()
        )
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        values = sql.SQL(", ").join(map(sql.Literal, columns.values()))
        statement = sql.SQL(query).format(
            table=sql.Identifier("dbo", table.name), where=where, sets=sets, names=names, values=values
        )
        done = writer.connection.execute(statement)
        assert done.rowcount == 1, f"{self}: {statement.as_string()} met {done.rowcount} rows"
        writer.is_open = True

    def _insert(self, writer: _Transaction, table: Written) -> None:
        key = self._free(writer, table)
        if key is None:
            return
        row = table.new_row(self.random)
        cells = {**dict(zip(table.key, key, strict=True)), **row}
        self._run(writer, "INSERT INTO {table} ({names}) VALUES ({values})", table, columns=cells)
        writer.writes[table.name, key] = row

    def _update(self, writer: _Transaction, table: Written) -> None:
        """Some columns of a row: another value, null for the empty text, the other sign."""
        key = self._pick(writer, table)
        if key is None:
            return
        row = dict(self._visible(writer, table)[key])
        fresh = table.new_row(self.random)
        for name in self.random.sample(sorted(row), self.random.randint(1, len(row))):
            value = row[name]
            is_number = isinstance(value, Decimal)
            row[name] = -value if is_number and self.random.random() < 0.5 else fresh[name]
        self._run(writer, "UPDATE {table} SET {sets} WHERE {where}", table, columns=row, key=key)
        writer.writes[table.name, key] = row

    def _rewrite(self, writer: _Transaction, table: Written) -> None:
        """A row written again as it is, as a recalculation does."""
        key = self._pick(writer, table)
        if key is not None:
            row = self._visible(writer, table)[key]
            self._run(writer, "UPDATE {table} SET {sets} WHERE {where}", table, columns=row, key=key)
            writer.writes[table.name, key] = row

    def _tie(self, writer: _Transaction, table: Written) -> None:
        """Several rows with one stamp."""
        for _ in range(4):
            key = self._pick(writer, table)
            if key is not None:
                row = {**self._visible(writer, table)[key], **table.new_row(self.random)}
                stamped = "UPDATE {table} SET {sets}, changed_at = date_trunc('second', now()) WHERE {where}"
                self._run(writer, stamped, table, columns=row, key=key)
                writer.writes[table.name, key] = row

    def _delete(self, writer: _Transaction, table: Written) -> None:
        key = self._pick(writer, table)
        if key is not None and len(self.model[table.name]) > 10:
            self._run(writer, "DELETE FROM {table} WHERE {where}", table, key=key)
            writer.writes[table.name, key] = None

    def _move(self, writer: _Transaction, table: Written) -> None:
        """A change of key."""
        key, new_key = self._pick(writer, table), self._free(writer, table)
        if key is None or new_key is None or new_key == key:
            return
        row = self._visible(writer, table)[key]
        moved = dict(zip(table.key, new_key, strict=True))
        self._run(writer, "UPDATE {table} SET {sets} WHERE {where}", table, columns=moved, key=key)
        writer.writes[table.name, key] = None
        writer.writes[table.name, new_key] = row

    def _reload(self, writer: _Transaction, table: Written) -> None:
        """The table truncated, and most of its rows loaded again with others among them."""
        kept = {key: row for key, row in self.model[table.name].items() if self.random.random() < 0.9}
        writer.connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier("dbo", table.name)))
        for key, row in kept.items():
            cells = {**dict(zip(table.key, key, strict=True)), **row}
            self._run(writer, "INSERT INTO {table} ({names}) VALUES ({values})", table, columns=cells)
        writer.connection.commit()
        writer.is_open = False
        self.model[table.name] = kept

    def _end(self, writer: _Transaction, table: Written) -> None:
        if self.random.random() < 0.25:
            writer.connection.rollback()
            writer.writes.clear()
            writer.is_open = False
        else:
            self._commit(writer)

    def _commit(self, writer: _Transaction) -> None:
        writer.connection.commit()
        for (name, key), row in writer.writes.items():
            self.model[name].pop(key, None)
            if row is not None:
                self.model[name][key] = row
        writer.writes.clear()
        writer.is_open = False
