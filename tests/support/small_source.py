"""A source of a table or two, made for one trap, and a record that follows it; what is landed is compared with it."""

import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg.rows import dict_row

from contracts.events.ingest import MASK
from contracts.mapping import ColumnType, Link, Pair, SourceTable
from services.ingest.synthetic.shape import CREATE_ROWVERSION
from tests.support import servers
from tests.support.pacs_source import reader_login
from tests.support.pair_benches import COUNTIES, pair_bench
from tests.support.sync_jobs import SyncBench

COUNTY, PAIR = "benton", "benton_small"
LOTS = """
CREATE TABLE dbo.lot (lot_id integer PRIMARY KEY, number varchar(50), amount numeric(18,4), note varchar(200));
"""

#: the marks that readers follow; programs of the source note the time themselves
MARKS = """
ALTER TABLE dbo.lot ADD COLUMN changed_at timestamp(3) NOT NULL DEFAULT clock_timestamp(),
  ADD COLUMN "tsRowVersion" bytea NOT NULL;
CREATE TRIGGER stamp_rowversion BEFORE INSERT OR UPDATE ON dbo.lot
  FOR EACH ROW EXECUTE FUNCTION dbo.stamp_rowversion();
CREATE FUNCTION dbo.note_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.changed_at = OLD.changed_at THEN NEW.changed_at := clock_timestamp(); END IF; RETURN NEW; END $$;
CREATE TRIGGER note_change BEFORE UPDATE ON dbo.lot FOR EACH ROW EXECUTE FUNCTION dbo.note_change();
"""
#: for what changes and deletes much on purpose
NO_BRAKE = {
    "brake": {"deleted_rows": 10**9, "deleted_share": 1, "changed_rows": 10**9, "changed_share": 1},
}
ROW_READERS = ("hash_diff", "rowversion", "timestamp")

type_row = dict[str, Any]


def lot_table(**more: Any) -> dict[str, Any]:
    """The mapping of `LOTS`."""
    columns = {"lot_id": "integer", "number": "text", "amount": "decimal", "note": "text"}
    table = {"name": "lot", "key": ["lot_id"], "columns": columns, "links": {"parcel_id": "lot_id"}}
    return {**table, **more}


def marked_lots(reader: str, **more: Any) -> dict[str, Any]:
    """The mapping of `LOTS` with `MARKS`, followed by this reader."""
    column = {"rowversion": "tsRowVersion", "timestamp": "changed_at"}.get(reader)
    table = lot_table(reader=reader, **({"changed_column": column} if column else {}), **more)
    table["columns"] = {**table["columns"], "changed_at": "timestamp"}
    return table


def small_pair(*tables: dict[str, Any], reader: str = "auto", **more: Any) -> dict[str, Any]:
    """A pair whose parcels are the rows of its first table, which has `number`, `amount` and `note`."""
    root = tables[0]["name"]
    fields = {"parcel_number": f"{root}.number", "total_value_usd": f"{root}.amount", "zoning": f"{root}.note"}
    return {
        "pair": PAIR,
        "connector": "sql",
        "reader": reader,
        "working_year": {"year": 2026},
        "tables": list(tables),
        "entities": {"parcel": {"root": root, "fields": fields}},
        **more,
    }


def write_county(folder: Path, pair: Mapping[str, Any]) -> Path:
    """The county's files with this pair alone; answers the folder of counties."""
    (folder / COUNTY).mkdir(parents=True, exist_ok=True)
    shutil.copy(COUNTIES / COUNTY / "county.yaml", folder / COUNTY / "county.yaml")
    (folder / COUNTY / "mappings.yaml").write_text(yaml.safe_dump({"pairs": [dict(pair)]}), encoding="utf-8")
    return folder


@dataclass
class Small:
    """A source that its owner writes, and the record that follows it through a login which may only read."""

    url: str
    bench: SyncBench
    folder: Path
    pair: Pair

    def execute(self, *statements: str) -> None:
        """Each in a transaction of its own."""
        for statement in statements:
            with psycopg.connect(self.url) as connection:
                connection.execute(statement.encode())

    def rows(self, query: str) -> list[type_row]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def remap(self, pair: Mapping[str, Any]) -> None:
        """Another mapping from now on."""
        write_county(self.folder, pair)
        self.pair = Pair.model_validate(pair)

    async def follow(self, mode: str = "incremental", tables: list[str] | None = None) -> dict[str, Any]:
        """A run that succeeds; the outbox then holds what it said. Answers its result."""
        await self.bench.forget()
        job = await self.bench.run(mode, tables)
        assert job["status"] == "succeeded", job["error"]
        result: dict[str, Any] = job["result"]
        return result

    async def fail(self, mode: str = "incremental") -> str:
        """A run that fails; answers its code."""
        await self.bench.forget()
        job = await self.bench.run(mode)
        assert job["status"] == "failed", job["result"]
        return str(job["error"]["code"])

    async def said(self) -> list[str]:
        """The canonical facts of the last run with their parcels, in an order."""
        facts = await self.bench.said()
        return sorted(f"{subject.rsplit('.', 1)[0]} {body.get('parcel_id')}" for subject, body in facts)

    async def landed(self, table: str) -> list[type_row]:
        """What is landed of a table and counts, personal values shown."""
        rows = await self.bench.fetch(
            "SELECT image, personal FROM ingest.source_row WHERE pair = $1 AND source_table = $2 AND NOT is_filtered",
            PAIR,
            table,
        )
        return _ordered([{**_decoded(row["image"]), **_decoded(row["personal"])} for row in rows])

    async def assert_equal(self) -> None:
        """What is landed is what the source holds, and the parcels are the rows of the first table."""
        for table in self.pair.tables:
            assert await self.landed(table.name) == self.expected(table), table.name
        await self._assert_parcels()

    def expected(self, table: SourceTable) -> list[type_row]:
        """The table's rows at the source in the spelling of an image."""
        columns = ", ".join(map(_quoted, table.columns))
        rows = self.rows(f"SELECT {columns} FROM {self.pair.source_schema}.{_quoted(table.name)}")
        return _ordered([{name: spelled(row[name], kind) for name, kind in table.columns.items()} for row in rows])

    async def _assert_parcels(self) -> None:
        fields, root = self.pair.entities.parcel.fields, self.pair.tables[0]
        source = {name: field.sources[0].name for name, field in fields.items()}
        (key,) = root.link_columns(Link.PARCEL_ID)
        expected = {
            str(row[key]).strip(): {name: _number(_blank(row[column])) for name, column in source.items()}
            for row in self.expected(root)
        }
        found = await self.bench.fetch(f"SELECT parcel_id, {', '.join(source)} FROM ingest.parcel_v1 WHERE is_active")
        actual = {row.pop("parcel_id"): {name: _number(value) for name, value in row.items()} for row in found}
        assert actual == expected


def spelled(value: Any, kind: ColumnType) -> Any:
    """A value of the source as an image says it, written apart from the engine's own way."""
    if value is None:
        return None
    if isinstance(value, datetime | date):
        text = value.isoformat()
        return text.rstrip("0") if "." in text else text
    if isinstance(value, bytes):
        return value.hex().upper()
    return _SPELLINGS.get(kind, str)(value)


def _decimal(value: Any) -> str:
    text = format(Decimal(str(value)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _text(value: Any) -> str:
    return str(value).rstrip(" ")


_SPELLINGS: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.INTEGER: int,
    ColumnType.BOOLEAN: bool,
    ColumnType.DECIMAL: _decimal,
    ColumnType.TEXT: _text,
}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _decoded(image: Any) -> type_row:
    decoded: type_row = json.loads(image) if isinstance(image, str) else image or {}
    return {name: value for name, value in decoded.items() if value != MASK}


def _ordered(rows: list[type_row]) -> list[type_row]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _blank(value: Any) -> Any:
    """The record has no blank texts."""
    return (value.strip() or None) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Money has cents, and stands in images as a text."""
    try:
        return value if value is None else round(Decimal(str(value)), 2)
    except ArithmeticError:
        return value


@asynccontextmanager
async def small_source(
    server: servers.DatabaseServer,
    database_url: str,
    folder: Path,
    *,
    ddl: str,
    pair: Mapping[str, Any],
    through: Callable[[str], str] = str,
) -> AsyncIterator[Small]:
    """The source made by `ddl` in schema dbo, with `dbo.stamp_rowversion`; `through` may put a proxy before it."""
    counties = write_county(folder / "counties", pair)
    with servers.database(server) as (_, url):
        with psycopg.connect(url) as connection:
            connection.execute(b"CREATE SCHEMA dbo")
            connection.execute(CREATE_ROWVERSION.encode())
            connection.execute(ddl.encode())
            connection.execute(b"ANALYZE")
        with reader_login(url) as login:
            async with pair_bench(
                database_url,
                county=COUNTY,
                pair=pair["pair"],
                source_url=through(login),
                folder=folder,
                counties_dir=counties,
            ) as bench:
                yield Small(url, bench, counties, Pair.model_validate(pair))
