"""A PostgreSQL server, such as a PACS-shaped one, that stamps rows as SQL Server's rowversion does."""

from chassis.errors import PermanentError
from services.ingest.sources.dialects.dialect import Column, Sql
from services.ingest.sources.dialects.postgresql import PostgresqlDialect
from services.ingest.sources.server import Server
from services.ingest.sources.sessions import Session
from services.ingest.sources.source import Catalog, ColumnFacts, Marker, SourceFacts, TableFacts

_CATALOG = """
SELECT c.table_name, c.column_name, c.data_type, c.character_maximum_length,
       coalesce(c.numeric_precision, c.datetime_precision), c.numeric_scale,
       CAST(c.is_nullable = 'YES' AS int), CAST(c.is_generated = 'ALWAYS' AS int), c.collation_name
  FROM information_schema.columns c WHERE c.table_schema = {} ORDER BY c.table_name, c.ordinal_position
"""
_SETTINGS = """
SELECT current_setting('server_version'), current_setting('TimeZone'), current_setting('transaction_read_only'),
       CAST(pg_is_in_recovery() AS int), d.datcollate,
       CAST(EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = {} AND c.relkind IN ('r', 'p')
                  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS int),
       current_setting('server_encoding')
  FROM pg_database d WHERE d.datname = current_database()
"""
_TABLES = """
SELECT c.relname, CASE WHEN c.reltuples >= 0 THEN CAST(c.reltuples AS bigint) END,
       (SELECT string_agg(g.tgname, ',' ORDER BY g.tgname) FROM pg_trigger g
         WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = {} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_INDEXES = """
SELECT i.indexrelid, c.relname, CAST(i.indisprimary AS int), CAST(i.indisunique AS int), CAST(i.indisclustered AS int),
       a.attname
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN LATERAL unnest(CAST(i.indkey AS smallint[])) WITH ORDINALITY AS k(number, place) ON k.place <= i.indnkeyatts
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
 WHERE n.nspname = {} AND i.indisvalid AND i.indpred IS NULL ORDER BY i.indexrelid, k.place
"""
_STAMP = "min_active_rowversion"


class PostgresqlServer(Server):
    """Everything is read in one repeatable-read snapshot; marks are taken before it, so that none is too high."""

    is_consistent = True

    def __init__(self, session: Session, dialect: PostgresqlDialect, *, schema: str, lock_seconds: float,
                 query_seconds: float) -> None:  # fmt: skip
        super().__init__(session, dialect)
        for name, value in dialect.session_settings.items():
            session.run(f"SET {name} = '{value}'")
        session.run(f"SET lock_timeout = {int(lock_seconds * 1000)}")
        session.run(f"SET statement_timeout = {int(query_seconds * 1000)}")
        stamp = f"{dialect.quoted(schema)}.{_STAMP}()"
        known = session.value(self._asking("SELECT CAST(to_regprocedure({}) AS text)", stamp))
        self._rowversion: str | None = (
            session.value(Sql(f"SELECT '0x' || upper(encode({stamp}, 'hex'))")) if known else None
        )
        session.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        session.begin()
        #: the transaction's own time: rows that were committed after it are not in the snapshot
        self._began = str(session.value(Sql("SELECT CAST(CAST(transaction_timestamp() AS timestamp) AS text)")))

    def catalog(self, schema: str) -> Catalog:
        """Every column that this login may see, with its type."""
        found: Catalog = {}
        for table, column, kind, length, precision, scale, nullable, computed, collation in self.session.rows(
            self._asking(_CATALOG, schema)
        ):
            found.setdefault(table, {})[column] = ColumnFacts(
                kind, length, precision, scale, bool(nullable), bool(computed), collation
            )
        return found

    def facts(self, schema: str) -> SourceFacts:
        """As the system catalogue tells; there is neither CDC nor change tracking."""
        version, zone, read_only, is_standby, collation, can_write, encoding = self.session.rows(
            self._asking(_SETTINGS, schema)
        )[0]
        return SourceFacts(
            product="PostgreSQL",
            version=version,
            collation=collation,
            time_zone=zone,
            is_read_only=bool(is_standby),
            allows_snapshot_isolation=True,
            reads_committed_snapshot=True,
            has_cdc=False,
            has_change_tracking=False,
            can_write=bool(can_write),
            tables=self._tables(schema),
            more={"transaction_read_only": read_only, "server_encoding": encoding},
        )

    def _tables(self, schema: str) -> dict[str, TableFacts]:
        keys: dict[str, dict[str, list[tuple[str, ...]]]] = {}
        for table, kind, columns in self._indexes(schema):
            keys.setdefault(table, {}).setdefault(kind, []).append(columns)
        catalog = self.catalog(schema)
        found = {}
        for name, rows, triggers in self.session.rows(self._asking(_TABLES, schema)):
            of = keys.get(name, {})
            found[name] = TableFacts(
                rows=rows,
                primary_key=next(iter(of.get("primary", [])), ()),
                unique_keys=tuple(of.get("unique", [])),
                clustered_key=next(iter(of.get("clustered", [])), ()),
                indexes=tuple(of.get("index", [])),
                rowversion_column=self._stamped(catalog.get(name, {})),
                triggers=tuple(triggers.split(",")) if triggers else (),
            )
        return found

    def _stamped(self, columns: dict[str, ColumnFacts]) -> str | None:
        """PACS names its rowversion columns alike; without the server's lowest open stamp they are no marker."""
        if self._rowversion is None:
            return None
        return next((n for n, c in columns.items() if c.type == "bytea" and n.lower() == "tsrowversion"), None)

    def _indexes(self, schema: str) -> list[tuple[str, str, tuple[str, ...]]]:
        """Tables with the kind and the columns of each of their indexes; one over an expression ends before it."""
        found: list[tuple[str, str, tuple[str, ...]]] = []
        rows = self.session.rows(self._asking(_INDEXES, schema))
        indexes: dict[int, list[tuple[str, int, int, int, str | None]]] = {}
        for number, *facts in rows:
            indexes.setdefault(number, []).append(tuple(facts))
        for parts in indexes.values():
            table, is_primary, is_unique, is_clustered, _ = parts[0]
            names = [part[4] for part in parts]
            columns = tuple(name for name in names[: names.index(None) if None in names else None] if name)
            is_whole = len(columns) == len(names)
            kinds = {"primary": is_primary, "unique": is_unique and is_whole, "clustered": is_clustered, "index": True}
            found += [(table, kind, columns) for kind, holds in kinds.items() if holds and columns]
        return found

    def clock(self) -> str:
        """The wall clock, which moves on inside of a transaction."""
        shown = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        return str(self.session.value(Sql(f"SELECT {shown}")))

    def high_mark(self, schema: str, marker: Marker, column: Column | None) -> str:
        """The lowest stamp that was open, or the time, when the snapshot was taken.

        Raises:
            PermanentError: `reader_unsupported`.
        """
        if marker.kind == "timestamp":
            return self._began
        if marker.kind == "rowversion" and self._rowversion is not None:
            return self._rowversion
        raise PermanentError("reader_unsupported", f"the source has no {marker.kind}")

    def _asking(self, text: str, value: str) -> Sql:
        return Sql(text.replace("{}", f"CAST({self.dialect.placeholder} AS text)"), (value,))
