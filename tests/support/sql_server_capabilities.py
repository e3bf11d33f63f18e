"""What a server that speaks SQL Server's protocol can do: Babelfish speaks it too, and has not all of SQL Server.

Every capability is asked of the server itself; a test of what is missing skips and names it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from sqlalchemy.engine import URL

from services.ingest.sources.odbc import connection_string
from tests.support import odd_tables as odd

#: what is asked, what SQL Server documents as its answer (null: any), and the capability in words
_ASKED: dict[str, tuple[str, Any, str]] = {
    "bracket": ("SELECT 1 AS [a]]b]", 1, "names with a closing bracket in them"),
    "digits": ("SELECT CONVERT(char(4), 0x00AB, 2)", "00AB", "style 2 of CONVERT, which tells bytes in digits"),
    "bytes": (
        "SELECT CONVERT(varchar(6), CONVERT(varbinary(2), N'00AB', 2), 1)",
        "0x00AB",
        "styles 1 and 2 of CONVERT, which make bytes of digits and digits of bytes",
    ),
    "iso": (
        "SELECT CONVERT(varchar(23), CONVERT(datetime, N'2026-11-01T01:30:00.003', 126), 121)",
        "2026-11-01 01:30:00.003",
        "style 126 of CONVERT to datetime",
    ),
    "ticks": (
        "SELECT CONVERT(varchar(27), CAST('2026-01-01T00:00:00.1234567' AS datetime2(7)), 121)",
        "2026-01-01 00:00:00.1234567",
        "seventh digit of datetime2",
    ),
    "rowversion": ("SELECT CONVERT(varchar(18), MIN_ACTIVE_ROWVERSION(), 1)", None, "MIN_ACTIVE_ROWVERSION"),
    "snapshot": (
        "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()",
        1,
        "SNAPSHOT isolation",
    ),
}


@dataclass
class SqlServer:
    """A database on a server, as an account that may do everything in it."""

    url: URL

    @contextmanager
    def connect(self, *, autocommit: bool = True) -> Iterator[Any]:
        """A connection of its own, closed afterwards."""
        import pyodbc  # noqa: PLC0415  # needs the driver manager

        connection = pyodbc.connect(connection_string(self.url, installed=pyodbc.drivers()), autocommit=autocommit)
        try:
            yield connection
        finally:
            connection.close()

    def execute(self, batch: str) -> None:
        """Runs all of a batch, which fails as its answers are taken."""
        with self.connect() as connection:
            connection.execute("SET NOCOUNT ON")
            cursor = connection.execute(batch)
            while cursor.nextset():
                pass

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.connect() as connection:
            return list(connection.execute(query, *values).fetchall())

    def tolerates(self, batch: str) -> bool:
        """Whether the server ran the batch."""
        import pyodbc  # noqa: PLC0415

        try:
            self.execute(batch)
        except pyodbc.Error:
            return False
        return True

    def needs(self, *capabilities: str) -> None:
        """Skips the test where one of the capabilities is missing."""
        for name in capabilities:
            if not self._answers(name):
                pytest.skip(f"this server has no {_ASKED[name][2]}")

    def needs_numbered_errors(self) -> None:
        """Skips the test where all errors are alike."""
        if not self.numbers_errors:
            pytest.skip("this server's errors do not have SQL Server's numbers")

    def needs_to_run(self, batch: str, what: str) -> None:
        """Runs the batch, and skips the test where the server cannot."""
        if not self.tolerates(batch):
            pytest.skip(f"this server has no {what}")

    def _answers(self, name: str) -> bool:
        import pyodbc  # noqa: PLC0415

        query, expected, _ = _ASKED[name]
        try:
            found = self.rows(query)[0][0]
        except pyodbc.Error:
            return False
        return bool(expected is None or found == expected)

    @cached_property
    def keeps_case(self) -> bool:
        """Whether the catalogue tells a table's name as it was given."""
        self.execute("CREATE TABLE dbo.[As Given] (id int)")
        found = self.rows("SELECT name FROM sys.objects WHERE object_id = OBJECT_ID('dbo.[As Given]')")
        self.execute("DROP TABLE dbo.[As Given]")
        return [row[0] for row in found] == ["As Given"]

    @cached_property
    def odd_tables_lacking(self) -> dict[str, str]:
        """The odd tables that this server cannot have, and why."""
        found = {}
        if not self._answers("bracket"):
            reason = f"this server has no {_ASKED['bracket'][2]}"
            found = {table.name: reason for table in (odd.ODD_NAMES, odd.ODD_SMALL_NAMES)}
        if not self.keeps_case:
            found.setdefault(odd.ODD_NAMES.name, "this server's catalogue has no capital letters in names of tables")
        return found

    @cached_property
    def numbers_errors(self) -> bool:
        """Whether errors have SQL Server's numbers, by which they are told apart."""
        import pyodbc  # noqa: PLC0415

        with self.connect() as connection:
            try:
                connection.execute("SELECT id FROM dbo.nothing_of_that_name")
            except pyodbc.Error as error:
                return "(208)" in str(error)
        return False

    @cached_property
    def checks_passwords(self) -> bool:
        """Whether a wrong password is refused."""
        import pyodbc  # noqa: PLC0415

        try:
            with SqlServer(self.url.set(password="wrong")).connect():
                return False
        except pyodbc.Error:
            return True
