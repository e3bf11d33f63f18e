"""One connection to a source: it runs queries, and gives texts as the server spelled them."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import polars as pl
import psycopg
from psycopg.pq import TransactionStatus

from services.ingest.operation.failures import refusals
from services.ingest.sources.dialects.dialect import Sql

Row = tuple[Any, ...]

_BLOCK_BYTES = 4 * 1024 * 1024


class Session(ABC):
    """A connection that reads; whatever its driver raises leaves it as a refusal of `operation.failures`."""

    database: str
    placeholder: ClassVar[str] = "?"

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def rows(self, query: Sql) -> list[Row]:
        """All rows of a small answer."""

    @abstractmethod
    def blocks(self, query: Sql, names: list[str]) -> Iterator[pl.DataFrame]:
        """The rows of a large answer, all of them texts, some megabytes at a time."""

    @abstractmethod
    def run(self, statement: str) -> None:
        """Runs a statement that sets something for this session and answers nothing."""

    @abstractmethod
    def begin(self) -> None:
        """Opens the one transaction in which everything else is read."""

    @abstractmethod
    def close(self) -> None:
        """Gives the transaction and the connection up; never fails."""

    def value(self, query: Sql) -> Any:
        """The first column of the first row; null where there is none."""
        found = self.rows(query)
        return found[0][0] if found else None


class PsycopgSession(Session):
    """PostgreSQL's own protocol; large answers come by COPY."""

    placeholder = "%s"

    def __init__(self, name: str, connection: psycopg.Connection) -> None:
        super().__init__(name)
        self.connection = connection
        self.database = connection.info.dbname
        connection.autocommit = True

    def rows(self, query: Sql) -> list[Row]:
        """As `Session.rows`."""
        with self._query():
            return self.connection.execute(query.text.encode(), query.parameters).fetchall()

    def run(self, statement: str) -> None:
        """As `Session.run`."""
        with refusals(self.name):
            self.connection.execute(statement.encode())

    @contextmanager
    def _query(self) -> Iterator[None]:
        """A query that fails must not take the snapshot with it: it may be asked again, or for fewer rows."""
        is_within = self.connection.info.transaction_status == TransactionStatus.INTRANS
        with refusals(self.name), self.connection.transaction() if is_within else nullcontext():
            yield

    def begin(self) -> None:
        """The next query opens it."""
        self.connection.autocommit = False

    def close(self) -> None:
        """As `Session.close`."""
        self.connection.close()

    def blocks(self, query: Sql, names: list[str]) -> Iterator[pl.DataFrame]:
        """As `Session.blocks`."""
        text = query.text if query.parameters else query.text.replace("%%", "%")  # COPY alone is not looked through
        statement = f"COPY ({text}) TO STDOUT (FORMAT csv)".encode()
        with (
            self._query(),
            self.connection.cursor() as cursor,
            cursor.copy(statement, query.parameters) as copy,
        ):
            block: list[Any] = []
            size = 0
            for data in copy:  # the server sends a row in one piece each, so a block never ends inside a row
                block.append(data)
                size += len(data)
                if size >= _BLOCK_BYTES:
                    yield _parse(b"".join(block), names)
                    block, size = [], 0
            if block:
                yield _parse(b"".join(block), names)


def _parse(block: bytes, names: list[str]) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(block), has_header=False, new_columns=names, infer_schema=False)
