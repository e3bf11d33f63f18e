"""What differs from server to server beyond the text of queries: its catalogue, its clock, what it knows of changes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.sources.dialects.dialect import Column, Dialect
from services.ingest.sources.sessions import Session
from services.ingest.sources.source import Catalog, Marker, SourceFacts
from services.ingest.sources.statements import Statements


class Server(ABC):
    """A kind of server behind a session that is open and reads from one moment where it can."""

    dialect: Dialect
    is_consistent: bool

    def __init__(self, session: Session, dialect: Dialect) -> None:
        self.session = session
        self.dialect = dialect

    @abstractmethod
    def catalog(self, schema: str) -> Catalog:
        """The columns of a schema that this login may see."""

    @abstractmethod
    def facts(self, schema: str) -> SourceFacts:
        """What kind of system it is; what this login may not see stays null."""

    @abstractmethod
    def clock(self) -> str:
        """The server's clock in UTC, as ISO 8601 without a zone."""

    @abstractmethod
    def high_mark(self, schema: str, marker: Marker, column: Column | None) -> str:
        """As `Source.high_mark`."""

    def low_mark(self, schema: str, table: SourceTable, marker: Marker) -> str | None:
        """As `Source.low_mark`; markers in rows are always complete."""
        return None

    def logged(
        self, statements: Statements, table: SourceTable, marker: Marker, *, since: str | None, until: str
    ) -> Iterator[pl.DataFrame]:
        """Changes that the server itself has logged.

        Raises:
            PermanentError: `reader_unsupported`.
        """
        raise PermanentError("reader_unsupported", f"the source of {table.name} has no {marker.kind}")
