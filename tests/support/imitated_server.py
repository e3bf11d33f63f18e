"""A PostgreSQL that keeps Change Data Capture and Change Tracking as SQL Server does, to run the engine's logic on.

An imitation proves nothing about SQL Server; it shows that what the readers of logs yield is landed, told and recorded
rightly. Log numbers follow the order of commits: they are given out at the commit, under a lock that is held until it
is done. A capture job that lags is imitated too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import polars as pl
import psycopg
import pytest

from contracts.mapping import Pair, SourceTable
from services.ingest.sources import connections
from services.ingest.sources.dialects.dialect import Column, Selection, Sql
from services.ingest.sources.dialects.postgresql import PostgresqlDialect
from services.ingest.sources.postgresql import PostgresqlServer
from services.ingest.sources.sessions import PsycopgSession, Session
from services.ingest.sources.source import HASH, ColumnFacts, Marker, SourceFacts
from services.ingest.sources.sql_server_logs import with_before
from services.ingest.sources.statements import Statements

_TEXT = ColumnFacts("text")
_LOG = ("@op", "@token", "@sequence", "@transaction")
_FIRST_LSN = 1_000

STATE = f"""
CREATE SEQUENCE dbo.log_lsn START {_FIRST_LSN};
CREATE SEQUENCE dbo.log_seqval;
CREATE TABLE dbo.log_commit (lsn bigint PRIMARY KEY);
CREATE TABLE dbo.log_state (captured bigint, kept_from bigint NOT NULL DEFAULT {_FIRST_LSN});
INSERT INTO dbo.log_state DEFAULT VALUES;
CREATE FUNCTION dbo.log_number() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE number bigint := nullif(current_setting('dbo.log_number', true), '');
BEGIN
  IF number IS NULL THEN
    PERFORM pg_advisory_xact_lock(7303);
    number := nextval('dbo.log_lsn');
    INSERT INTO dbo.log_commit VALUES (number);
    PERFORM set_config('dbo.log_number', number::text, true);
  END IF;
  RETURN number;
END $$;
"""

#: of a change of key a deletion and an insertion are logged, of another update the row before and after it
_OF_TABLE = """
CREATE TABLE dbo.log_{table} AS SELECT NULL::bigint AS "@lsn", 0::bigint AS "@seqval", 0 AS "@operation",
  txid_current() AS "@transaction", * FROM dbo.{table} LIMIT 0;
CREATE FUNCTION dbo.log_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number bigint := nextval('dbo.log_seqval'); is_moved boolean := false;
BEGIN
  IF TG_OP = 'UPDATE' THEN is_moved := ({old_key}) IS DISTINCT FROM ({new_key}); END IF;
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO dbo.log_{table} SELECT NULL, number, CASE WHEN TG_OP = 'DELETE' OR is_moved THEN 1 ELSE 3 END,
      txid_current(), (OLD).*;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO dbo.log_{table} SELECT NULL, number, CASE WHEN TG_OP = 'INSERT' OR is_moved THEN 2 ELSE 4 END,
      txid_current(), (NEW).*;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER log_{table} AFTER INSERT OR UPDATE OR DELETE ON dbo.{table} FOR EACH ROW
  EXECUTE FUNCTION dbo.log_{table}();
CREATE FUNCTION dbo.number_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE dbo.log_{table} SET "@lsn" = dbo.log_number() WHERE "@transaction" = txid_current() AND "@lsn" IS NULL;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER number_{table} AFTER INSERT ON dbo.log_{table} DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW."@lsn" IS NULL) EXECUTE FUNCTION dbo.number_{table}();
"""


def log_ddl(tables: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """Logs of the tables, by name and key, from now on."""
    parts = [STATE]
    for name, key in tables:
        sides = {side: ", ".join(f"{side.upper()}.{column}" for column in key) for side in ("old", "new")}
        parts.append(_OF_TABLE.format(table=name, old_key=sides["old"], new_key=sides["new"]))
    return "".join(parts)


@dataclass(frozen=True)
class Logs:
    """The source's logs as their administrator sees them."""

    url: str

    def capture(self, *, share: float | None) -> None:
        """The capture job comes so far in what it has not read yet; null: it keeps up from now on."""
        captured = f"coalesce(captured, {_FIRST_LSN})"
        newest = f"greatest((SELECT max(lsn) FROM dbo.log_commit), {captured})"
        reached = "NULL" if share is None else f"{captured} + floor(({newest} - {captured}) * {share})"
        self._run(f"UPDATE dbo.log_state SET captured = {reached}")

    def disturb(self, random: Random) -> None:
        """The capture job lags, or keeps up; now and then retention is over before all of the log was read."""
        chance = random.random()
        if chance < 0.3:
            self.capture(share=random.random())
        elif chance < 0.7:
            self.capture(share=None)
        if chance > 0.9:
            self.capture(share=None)
            self.clean_up()

    def clean_up(self) -> None:
        """Retention is over for everything that is logged so far."""
        self._run("UPDATE dbo.log_state SET kept_from = (SELECT coalesce(max(lsn), 0) + 1 FROM dbo.log_commit)")

    def keep_from(self, lsn: int) -> None:
        """Retention is over for everything below this number."""
        self._run(f"UPDATE dbo.log_state SET kept_from = {lsn}")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())


class ImitatedServer(PostgresqlServer):
    """Tells of its logs; `is_moving` reads every statement from another moment, as without SNAPSHOT isolation."""

    def __init__(self, session: PsycopgSession, *, schema: str, is_moving: bool) -> None:
        super().__init__(session, PostgresqlDialect("%s"), schema=schema, lock_seconds=10, query_seconds=60)
        self.schema = schema
        self.is_consistent = not is_moving
        if is_moving:
            session.connection.rollback()
            session.connection.autocommit = True

    def facts(self, schema: str) -> SourceFacts:
        found = super().facts(schema)
        tables = {
            name: replace(facts, has_change_tracking=True, capture_instances=(f"dbo_{name}",))
            if f"log_{name}" in found.tables
            else facts
            for name, facts in found.tables.items()
        }
        return replace(found, has_cdc=True, has_change_tracking=True, is_read_only=False, tables=tables)

    def high_mark(self, schema: str, marker: Marker, column: Column | None) -> str:
        if marker.kind in {"cdc", "change_tracking"}:
            newest = f"SELECT coalesce(max(lsn), {_FIRST_LSN}) FROM dbo.log_commit"
            captured = Sql(f"SELECT least((SELECT captured FROM dbo.log_state), ({newest}))")
            return _token(self.session.value(captured), marker)
        if self.is_consistent:
            return super().high_mark(schema, marker, column)
        fresh = {
            "rowversion": "SELECT '0x' || upper(encode(dbo.min_active_rowversion(), 'hex'))",
            "timestamp": "SELECT CAST(CAST(clock_timestamp() AS timestamp) AS text)",
        }
        return str(self.session.value(Sql(fresh[marker.kind])))

    def low_mark(self, schema: str, table: SourceTable, marker: Marker) -> str | None:
        if marker.kind not in {"cdc", "change_tracking"}:
            return None
        return _token(self.session.value(Sql("SELECT kept_from - 1 FROM dbo.log_state")), marker)

    def logged(
        self, statements: Statements, table: SourceTable, marker: Marker, *, since: str | None, until: str
    ) -> Iterator[pl.DataFrame]:
        of = self._captured if marker.kind == "cdc" else self._tracked
        yield from of(statements, table, _number(since or "0", marker), _number(until, marker))

    def _captured(self, statements: Statements, table: SourceTable, since: int, until: int) -> Iterator[pl.DataFrame]:
        shown = {
            "@op": "(ARRAY['d', 'c', 'b', 'u'])[t.\"@operation\"]",
            "@token": "'0x' || lpad(upper(to_hex(t.\"@lsn\")), 20, '0')",
            "@sequence": "'0x' || lpad(upper(to_hex(t.\"@seqval\")), 20, '0')",
            "@transaction": "'0x' || lpad(upper(to_hex(t.\"@lsn\")), 20, '0')",
        }
        where = f' WHERE t."@lsn" > {since} AND t."@lsn" <= {until} ORDER BY t."@lsn", t."@seqval", t."@operation"'
        source = Sql(f"dbo.log_{table.name} AS t")
        for block in self._blocks(statements, table, shown, source, where):
            yield with_before(table, block)

    def _tracked(self, statements: Statements, table: SourceTable, since: int, until: int) -> Iterator[pl.DataFrame]:
        """The net change of each key; what is not there now is deleted."""
        keys = ", ".join(table.key)
        matched = " AND ".join(f"t.{name} = k.{name}" for name in table.key)
        log = (
            f'(SELECT {keys}, max("@lsn") AS version FROM dbo.log_{table.name}'
            f' WHERE "@lsn" > {since} GROUP BY {keys} HAVING max("@lsn") <= {until}) AS k'
        )
        shown = {
            "@op": f"CASE WHEN t.{table.key[0]} IS NULL THEN 'd' ELSE 'u' END",
            "@token": "lpad(k.version::text, 19, '0')",
            "@sequence": "NULL::text",
            "@transaction": "lpad(k.version::text, 19, '0')",
        }
        source = Sql(f"{log} LEFT JOIN dbo.{table.name} AS t ON {matched}")
        for block in self._blocks(statements, table, shown, source, " ORDER BY k.version", keys_of="k"):
            is_gone = pl.col("@op") == "d"
            yield block.with_columns(pl.when(~is_gone).then(pl.col(HASH)).alias(HASH))

    def _blocks(
        self, statements: Statements, table: SourceTable, shown: dict[str, str], source: Sql, where: str, *,
        keys_of: str = "t",
    ) -> Iterator[pl.DataFrame]:  # fmt: skip
        columns = tuple(statements.column(table, name, keys_of if name in table.key else "t") for name in table.columns)
        beside = tuple(Column(name, expression, _TEXT) for name, expression in shown.items())
        selection = Selection((*columns, *beside), tuple(table.columns), source, where=Sql(where))
        return self.session.blocks(self.dialect.rows(selection), [*table.columns, *_LOG, HASH])


def _token(number: Any, marker: Marker) -> str:
    return f"0x{int(number):020X}" if marker.kind == "cdc" else f"{int(number):019d}"


def _number(token: str, marker: Marker) -> int:
    return int(token, 16 if marker.kind == "cdc" else 10)


def imitate(monkeypatch: pytest.MonkeyPatch, *, is_moving: bool = False) -> None:
    """From now on PostgreSQL sources are such servers."""

    def server(backend: str, pair: Pair, session: Session) -> ImitatedServer:
        assert isinstance(session, PsycopgSession)
        return ImitatedServer(session, schema=pair.source_schema, is_moving=is_moving)

    monkeypatch.setattr(connections, "_server", server)
