"""What errors of sources mean, and that nothing of their text is told."""

import decimal
from typing import Any

import psycopg
import pytest

from chassis.errors import PermanentError, TerraFusionError, TransientError
from contracts.mapping import Pair
from services.ingest.operation.failures import BY_NUMBER, BY_STATE, meaning, refusals
from services.ingest.sources.connections import open_database
from tests.support.small_source import lot_table, small_pair

ODBC = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
FREETDS = "[FreeTDS][SQL Server]"
CASES: list[tuple[str, str, str, bool]] = [
    ("40001", f"{ODBC}Transaction (Process ID 52) was deadlocked on lock resources. (1205) (SQLExecDirectW)",
     "source_deadlocked", True),
    ("42000", f"{ODBC}Lock request time out period exceeded. (1222) (SQLExecDirectW)", "source_locked", True),
    ("HY000", f"{ODBC}Snapshot isolation transaction aborted due to update conflict. (3960) (SQLFetch)",
     "source_snapshot_lost", True),
    ("42000", f'{ODBC}Cannot open database "pacs" requested by the login. (4060) (SQLDriverConnect)',
     "source_missing", False),
    ("28000", f"{ODBC}Login failed for user 'reader'. (18456) (SQLDriverConnect); [28000] {ODBC}Invalid (0)",
     "source_login_refused", False),
    ("42000", f"{ODBC}The SELECT permission was denied on the object 'owner'. (229) (SQLExecDirectW)",
     "source_forbidden", False),
    ("42S02", f"{ODBC}Invalid object name 'dbo.property_val'. (208) (SQLExecDirectW)", "source_table_missing", False),
    ("42S22", f"{ODBC}Invalid column name 'hood_cd'. (207) (SQLExecDirectW)", "source_column_missing", False),
    ("08S01", ("[Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: An existing connection was forcibly closed"
     " by the remote host. (10054) (SQLFetch)"), "source_unavailable", True),
    ("08001", "[Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: … did not respond. (10060) (SQLDriverConnect)",
     "source_unavailable", True),
    ("HY000", f"{ODBC}Database 'pacs' on server 'x' is not currently available. (40613) (SQLDriverConnect)",
     "source_unavailable", True),
    ("HY000", f"{ODBC}The service has encountered an error processing your request. (40197) (SQLExecDirectW)",
     "source_unavailable", True),
    ("42000", f"{ODBC}Cannot process request. Not enough resources to process request. (49918) (SQLExecDirectW)",
     "source_unavailable", True),
    ("HYT00", "[Microsoft][ODBC Driver 18 for SQL Server]Query timeout expired (0) (SQLExecDirectW)",
     "source_timeout", True),
    ("22018", (f"{ODBC}Conversion failed when converting the varchar value 'Jane Doe (1205)' to data type int. (245)"
     f" (SQLFetch); [01000] {ODBC}The statement has been terminated. (3621)"), "source_row_unreadable", False),
    ("22003", f"{FREETDS}Arithmetic overflow error converting numeric to data type numeric. (8115) (SQLExecute)",
     "source_row_unreadable", False),
    ("HY000", f"{ODBC}SQL Server detected a logical consistency-based I/O error: torn page (824) (SQLFetch)",
     "source_corrupted", False),
    ("42000", f"{ODBC}Failed to update database because the database is read-only. (3906) (SQLExecDirectW)",
     "source_write_refused", False),
    ("01000", f"{FREETDS}Unexpected EOF from the server (20017) (SQLExecDirectW)", "source_unavailable", True),
    ("HY000", f"{FREETDS}Unknown error (0) (SQLExecDirectW)", "source_unavailable", True),
    ("08S01", f"{FREETDS}Communication link failure (0) (SQLExecDirectW)", "source_unavailable", True),
    ("HYT00", f"{FREETDS}Timeout expired (0) (SQLExecDirectW)", "source_timeout", True),
    ("HY000", f"{FREETDS}Some character(s) could not be converted into client's character set (2403) (SQLFetch)",
     "source_row_unreadable", False),
]  # fmt: skip
POSTGRES: list[tuple[type[psycopg.Error], str, bool]] = [
    (psycopg.errors.AdminShutdown, "source_unavailable", True),
    (psycopg.errors.CannotConnectNow, "source_unavailable", True),
    (psycopg.errors.TooManyConnections, "source_unavailable", True),
    (psycopg.errors.SerializationFailure, "source_deadlocked", True),
    (psycopg.errors.DeadlockDetected, "source_deadlocked", True),
    (psycopg.errors.LockNotAvailable, "source_locked", True),
    (psycopg.errors.QueryCanceled, "source_timeout", True),
    (psycopg.errors.InsufficientPrivilege, "source_forbidden", False),
    (psycopg.errors.UndefinedTable, "source_table_missing", False),
    (psycopg.errors.UndefinedColumn, "source_column_missing", False),
    (psycopg.errors.InvalidPassword, "source_login_refused", False),
    (psycopg.errors.InvalidTextRepresentation, "source_row_unreadable", False),
    (psycopg.errors.UntranslatableCharacter, "source_row_unreadable", False),
    (psycopg.errors.DataCorrupted, "source_corrupted", False),
    (psycopg.errors.ReadOnlySqlTransaction, "source_write_refused", False),
    (psycopg.errors.SyntaxError, "source_query_refused", False),
]


def driver_error(state: str, message: str) -> Exception:
    """An error as pyodbc raises it; its native library need not be here."""
    kind: Any = type("Error", (Exception,), {"__module__": "pyodbc"})
    error: Exception = kind(state, f"[{state}] {message}")
    return error


def told(error: Exception) -> TerraFusionError:
    with pytest.raises(TerraFusionError) as caught, refusals("benton_pacs"):
        raise error
    return caught.value


@pytest.mark.parametrize(("state", "message", "code", "is_transient"), CASES)
def test_odbc_errors(state: str, message: str, code: str, *, is_transient: bool) -> None:
    refusal = told(driver_error(state, message))
    assert (refusal.code, isinstance(refusal, TransientError)) == (code, is_transient)
    assert refusal.details["sqlstate"] == state
    for private in ("Jane", "reader", "hood_cd", "property_val"):
        assert private not in refusal.message + str(refusal.details)


@pytest.mark.parametrize(("kind", "code", "is_transient"), POSTGRES)
def test_postgresql_errors(kind: type[psycopg.Error], code: str, *, is_transient: bool) -> None:
    refusal = told(kind("Jane Doe"))
    assert (refusal.code, isinstance(refusal, TransientError)) == (code, is_transient)
    assert "Jane" not in refusal.message


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("connection refused", "source_unavailable"),
        ('FATAL:  password authentication failed for user "reader"', "source_login_refused"),
        ('FATAL:  database "pacs" does not exist', "source_missing"),
        ('FATAL:  role "reader" does not exist', "source_login_refused"),
    ],
)
def test_failed_connections(message: str, code: str) -> None:
    assert told(psycopg.OperationalError(message)).code == code


def test_values_that_the_driver_cannot_spell() -> None:
    assert told(UnicodeDecodeError("cp1252", b"\x81", 0, 1, "undefined")).code == "source_row_unreadable"
    assert told(decimal.InvalidOperation()).code == "source_row_unreadable"


def test_mistakes_of_ours_stay_as_they_are() -> None:
    with pytest.raises(KeyError), refusals("benton_pacs"):
        raise KeyError("oops")
    with pytest.raises(PermanentError, match="as it is"), refusals("benton_pacs"):
        raise PermanentError("mapping_invalid", "as it is")


def test_a_number_says_more_than_a_state() -> None:
    found = meaning("42000", (3621, 1222))
    assert found is not None
    assert found.code == "source_locked"
    assert meaning("99999") is None
    codes = {found.code for found in (*BY_NUMBER.values(), *BY_STATE.values())}
    assert all(code.startswith("source_") for code in codes)


def test_a_url_that_the_driver_cannot_read_is_not_quoted() -> None:
    pair = Pair.model_validate(small_pair(lot_table()))
    url = "postgresql://user:secret@127.0.0.1:1/roll?no_such_option=secret"
    with pytest.raises(PermanentError) as refused, open_database(pair, url):
        pass
    assert refused.value.code == "source_url_invalid"
    assert "secret" not in refused.value.message
