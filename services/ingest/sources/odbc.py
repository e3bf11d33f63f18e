"""Any server by an ODBC driver that the county's IT has installed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import polars as pl
from sqlalchemy.engine import URL

from chassis.errors import PermanentError
from services.ingest.operation.failures import refusals
from services.ingest.sources.dialects.dialect import Sql
from services.ingest.sources.sessions import Row, Session

_CONNECT_SECONDS = 10
_ROWS_AT_ONCE = 2_000
_TEXT_LENGTH = 4_000
"""Of every parameter, whatever its value: a server keeps one plan for it."""


def pyodbc_module() -> Any:
    """The driver manager's module, which needs the manager's library.

    Raises:
        PermanentError: `odbc_manager_missing`.
    """
    try:
        import pyodbc  # noqa: PLC0415  # sources that are no ODBC's do without the library
    except ImportError as error:
        message = "no ODBC driver manager is installed: install the package unixodbc (on Windows it is there)"
        raise PermanentError("odbc_manager_missing", message) from error
    return pyodbc


class OdbcSession(Session):
    """A connection by pyodbc; the server has made texts of everything that is fetched."""

    def __init__(self, name: str, url: URL, *, query_seconds: float) -> None:
        super().__init__(name)
        self.pyodbc = pyodbc_module()
        text = connection_string(url, installed=self.pyodbc.drivers())
        with refusals(self.name):
            self.connection = self.pyodbc.connect(text, autocommit=True, timeout=_CONNECT_SECONDS)
        with suppress(self.pyodbc.Error):  # a driver that cannot do it; PostgreSQL has a setting for it
            self.connection.timeout = max(int(query_seconds), 1)
        self.database = url.database or ""

    def rows(self, query: Sql) -> list[Row]:
        """As `Session.rows`."""
        with refusals(self.name), self._cursor(query) as cursor:
            return [tuple(row) for row in cursor.fetchall()]

    def run(self, statement: str) -> None:
        """As `Session.run`."""
        with refusals(self.name):
            self.connection.execute(statement).close()

    def begin(self) -> None:
        """The driver opens a transaction with the next query."""
        with refusals(self.name):
            self.connection.autocommit = False

    def close(self) -> None:
        """As `Session.close`; a connection that is lost already is closed too."""
        with suppress(self.pyodbc.Error):
            self.connection.close()

    def blocks(self, query: Sql, names: list[str]) -> Iterator[pl.DataFrame]:
        """As `Session.blocks`."""
        with refusals(self.name), self._cursor(query) as cursor:
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                columns = zip(*rows, strict=True)
                yield pl.DataFrame([pl.Series(n, v, dtype=pl.String) for n, v in zip(names, columns, strict=True)])

    @contextmanager
    def _cursor(self, query: Sql) -> Iterator[Any]:
        cursor = self.connection.cursor()
        try:
            if query.parameters:
                cursor.setinputsizes([(self.pyodbc.SQL_WVARCHAR, _TEXT_LENGTH, 0)] * len(query.parameters))
            cursor.execute(query.text, *query.parameters)
            yield cursor
        finally:
            cursor.close()


def connection_string(url: URL, *, installed: list[str]) -> str:
    """What an ODBC driver manager connects by: the URL's parts and, further, its query's, as the driver names them.

    Raises:
        PermanentError: `odbc_driver_missing`, with the drivers that are there; `source_url_invalid`.
    """
    query = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    driver = query.pop("driver", None)
    if driver is None:
        raise PermanentError("source_url_invalid", "the source's URL names no ODBC driver: add ?driver=…")
    if driver not in installed and "/" not in driver and not driver.lower().endswith((".so", ".dll")):
        there = ", ".join(sorted(installed)) or "none"
        message = f"the ODBC driver {driver!r} is not installed; these are: {there}"
        raise PermanentError("odbc_driver_missing", message, details={"installed": sorted(installed)})
    parts = {"DRIVER": driver, **_address(url, driver), "DATABASE": url.database}
    parts |= {"UID": url.username, "PWD": str(url.password) if url.password is not None else None}
    parts |= _defaults(url.get_backend_name(), driver, {name.lower() for name in query}) | query
    return ";".join(f"{name}={_braced(value)}" for name, value in parts.items() if value is not None)


def _address(url: URL, driver: str) -> dict[str, str | None]:
    """Microsoft's drivers want the port beside the host, the others by itself."""
    if url.get_backend_name() == "mssql" and not _is_freetds(driver):
        return {"SERVER": f"{url.host},{url.port}" if url.port else url.host}
    return {"SERVER": url.host, "PORT": str(url.port) if url.port else None}


def _is_freetds(driver: str) -> bool:
    return "freetds" in driver.lower() or "tdsodbc" in driver.lower()


def _defaults(backend: str, driver: str, said: set[str]) -> dict[str, str]:
    if backend == "mssql":  # a readable replica may answer
        wanted = {"APP": "terrafusion ingest", "ApplicationIntent": "ReadOnly"}
        wanted |= {"TDS_Version": "7.4"} if _is_freetds(driver) else {}  # before 7.3 it knows no datetime2
    else:  # rows are fetched as they are wanted, and no text is cut
        wanted = {"UseDeclareFetch": "1", "Fetch": str(_ROWS_AT_ONCE), "MaxLongVarcharSize": "0"}
    return {name: value for name, value in wanted.items() if name.lower() not in said}


def _braced(value: str) -> str:
    """A value in which a driver may not take a semicolon or a brace for an end."""
    return "{" + value.replace("}", "}}") + "}" if any(sign in value for sign in ";{}= ") else value
