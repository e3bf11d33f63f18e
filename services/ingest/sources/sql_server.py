"""A SQL Server: read in one SNAPSHOT where the database allows it, else statement by statement."""

from collections.abc import Iterator

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.sources import sql_server_facts
from services.ingest.sources.dialects.dialect import Column, Sql
from services.ingest.sources.dialects.sql_server import SqlServerDialect
from services.ingest.sources.server import Server
from services.ingest.sources.sessions import Session
from services.ingest.sources.source import Catalog, Marker, SourceFacts
from services.ingest.sources.sql_server_logs import captured, low_mark, tracked
from services.ingest.sources.statements import Statements

_CLOCKS = (
    "SELECT CONVERT(varchar(27), SYSDATETIME(), 121), CONVERT(varchar(23), GETDATE(), 121), "
    "CONVERT(varchar(34), SYSDATETIMEOFFSET(), 121)"
)
_LOWEST_OPEN_STAMP = "SELECT CONVERT(varchar(18), MIN_ACTIVE_ROWVERSION(), 1)"
_LOG_MARKS = {
    "change_tracking": "SELECT RIGHT(REPLICATE('0', 19) + CAST(CHANGE_TRACKING_CURRENT_VERSION() AS varchar(19)), 19)",
    "cdc": "SELECT CONVERT(varchar(22), sys.fn_cdc_get_max_lsn(), 1)",
}


class SqlServer(Server):
    """Never writes, gives way in every deadlock, and waits for no lock longer than it was told to."""

    def __init__(self, session: Session, dialect: SqlServerDialect, *, lock_seconds: float) -> None:
        super().__init__(session, dialect)
        session.run("SET NOCOUNT ON")
        session.run("SET TEXTSIZE 2147483647")
        session.run("SET DEADLOCK_PRIORITY LOW")
        session.run(f"SET LOCK_TIMEOUT {int(lock_seconds * 1000)}")
        allows = self._seen("SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()")
        self.is_consistent = allows == 1
        #: marks of a snapshot are taken before it: what was open then and is committed later is below no mark
        self._marks = self._row_marks() if self.is_consistent else None
        session.run(f"SET TRANSACTION ISOLATION LEVEL {'SNAPSHOT' if self.is_consistent else 'READ COMMITTED'}")
        if self.is_consistent:
            session.begin()

    def catalog(self, schema: str) -> Catalog:
        """Every column of tables and views that this login may see."""
        return sql_server_facts.catalog(self.session, schema)

    def facts(self, schema: str) -> SourceFacts:
        """As the views of `sys` tell; what needs a right that this login lacks stays null."""
        return sql_server_facts.facts(self.session, schema)

    def clock(self) -> str:
        """The server's clock."""
        return str(self.session.value(Sql("SELECT CONVERT(varchar(27), SYSUTCDATETIME(), 126)")))

    def high_mark(self, schema: str, marker: Marker, column: Column | None) -> str:
        """A mark in the spelling of its column or log, exact to the last digit.

        Raises:
            PermanentError: `reader_unsupported`.
        """
        if marker.kind in _LOG_MARKS:
            found = self.session.value(Sql(_LOG_MARKS[marker.kind]))
        else:
            marks = self._marks or self._row_marks()
            kind = column.facts.type if column is not None else ""
            found = marks.get("rowversion" if marker.kind == "rowversion" else kind, marks["datetime2"])
        if found is None:
            raise PermanentError("reader_unsupported", f"the source has no {marker.kind}")
        return str(found)

    def low_mark(self, schema: str, table: SourceTable, marker: Marker) -> str | None:
        """As `Source.low_mark`."""
        return low_mark(self, schema, table, marker)

    def logged(
        self, statements: Statements, table: SourceTable, marker: Marker, *, since: str | None, until: str
    ) -> Iterator[pl.DataFrame]:
        """Changes out of change tracking or change data capture."""
        of = captured if marker.kind == "cdc" else tracked
        return of(self, statements, table, marker, since=since, until=until)

    def _row_marks(self) -> dict[str, str | None]:
        precise, coarse, zoned = self.session.rows(Sql(_CLOCKS))[0]
        return {
            "rowversion": self._seen(_LOWEST_OPEN_STAMP),
            "datetime2": precise,
            "datetime": coarse,
            "smalldatetime": f"{coarse[:16]}:00",
            "datetimeoffset": zoned,
        }

    def _seen(self, query: str) -> str | int | None:
        """A value that not every server has."""
        try:
            found: str | int | None = self.session.value(Sql(query))
        except PermanentError:
            return None
        return found
