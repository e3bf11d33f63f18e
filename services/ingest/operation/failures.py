"""What an error of a source means: whether trying again helps, by a stable code, without the values that drivers quote.

By SQLSTATE, and where SQL Server says more by the number of its error, which ODBC puts at the end of the message.
"""

import decimal
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from chassis.errors import PermanentError, TerraFusionError, TransientError

ROW_UNREADABLE = "source_row_unreadable"
"""A value that the source or its driver cannot give: the row that holds it is found and left out."""


class Meaning(NamedTuple):
    """What an error means."""

    code: str
    text: str
    is_transient: bool


UNAVAILABLE = Meaning("source_unavailable", "cannot be reached", is_transient=True)
EXHAUSTED = Meaning("source_unavailable", "has run out of something", is_transient=True)
TIMEOUT = Meaning("source_timeout", "took longer than query_timeout_seconds", is_transient=True)
LOCKED = Meaning("source_locked", "kept a lock longer than lock_timeout_seconds", is_transient=True)
DEADLOCKED = Meaning("source_deadlocked", "gave way to another transaction", is_transient=True)
SNAPSHOT = Meaning("source_snapshot_lost", "no longer has the versions that the run reads", is_transient=True)
LOGIN = Meaning("source_login_refused", "refuses the login", is_transient=False)
MISSING = Meaning("source_missing", "has no database of that name, or none for this login", is_transient=False)
FORBIDDEN = Meaning("source_forbidden", "does not let this login read what is mapped", is_transient=False)
NO_TABLE = Meaning("source_table_missing", "lacks a table that was there", is_transient=False)
NO_COLUMN = Meaning("source_column_missing", "lacks a column that was there", is_transient=False)
UNREADABLE = Meaning(ROW_UNREADABLE, "holds a value that cannot be read", is_transient=False)
CORRUPTED = Meaning("source_corrupted", "has damaged pages", is_transient=False)
REFUSED = Meaning("source_query_refused", "refuses a query", is_transient=False)
READ_ONLY = Meaning("source_write_refused", "was asked to write, which we never do", is_transient=False)

#: the longest beginning of a SQLSTATE that is here counts; ODBC has states of its own (HY, IM, 42S)
BY_STATE: dict[str, Meaning] = {
    "08": UNAVAILABLE, "HYT01": UNAVAILABLE, "57P": UNAVAILABLE, "25": UNAVAILABLE, "53": EXHAUSTED,
    "57014": TIMEOUT, "HYT00": TIMEOUT, "HY008": TIMEOUT, "S1T00": TIMEOUT,
    "55P03": LOCKED, "40": DEADLOCKED, "25006": READ_ONLY,
    "28": LOGIN, "3D": MISSING, "42501": FORBIDDEN,
    "42P01": NO_TABLE, "42S02": NO_TABLE, "3F": NO_TABLE, "42703": NO_COLUMN, "42S22": NO_COLUMN,
    "22": UNREADABLE, "XX001": CORRUPTED, "XX002": CORRUPTED, "72000": SNAPSHOT,
}  # fmt: skip

#: errors of SQL Server and of its network library
BY_NUMBER: dict[int, Meaning] = {
    **dict.fromkeys((-1, 2, 20, 53, 64, 121, 233, 258, 11001, 1231, 10053, 10054, 10060, 10061), UNAVAILABLE),
    **dict.fromkeys((596, 617, 669, 983, 6005, 17142, 17197, 18401, 21, 922, 924, 927, 976, 978), UNAVAILABLE),
    **dict.fromkeys((10928, 10929, 40143, 40197, 40501, 40540, 40613, 40615, 49918, 49919, 49920), UNAVAILABLE),
    **dict.fromkeys((4221, 42108, 42109), UNAVAILABLE),
    **dict.fromkeys((701, 802, 845, 1105, 8645, 8651, 9002, 17809, 40544, 40549, 40550, 40551), EXHAUSTED),
    # FreeTDS itself: it tells of a connection that is gone under SQLSTATE 01000, which is a warning's
    **dict.fromkeys((20002, 20004, 20006, 20008, 20009, 20012, 20013, 20017, 20020, 20047), UNAVAILABLE),
    20014: LOGIN, **dict.fromkeys((2402, 2403, 2404, 20049), UNREADABLE),
    -2: TIMEOUT, 3617: TIMEOUT, 20003: TIMEOUT,
    1222: LOCKED, 1204: EXHAUSTED, 1205: DEADLOCKED, 1211: DEADLOCKED,
    **dict.fromkeys((3951, 3952, 3957, 3958, 3959, 3960, 3961, 3966, 3967), SNAPSHOT),
    **dict.fromkeys((4064, 18452, 18456, 18461, 18470, 18486, 18487, 18488), LOGIN),
    **dict.fromkeys((911, 916, 4060), MISSING),
    **dict.fromkeys((229, 230, 262, 297, 300, 371), FORBIDDEN),
    208: NO_TABLE, 207: NO_COLUMN, 4413: NO_COLUMN, 4502: NO_COLUMN,
    **dict.fromkeys((220, 232, 235, 241, 242, 244, 245, 248, 295, 296, 517, 535, 8114, 8115, 8134), UNREADABLE),
    **dict.fromkeys((2628, 3621, 8152, 8169, 9803, 9809, 9819), UNREADABLE),
    **dict.fromkeys((605, 823, 824, 825), CORRUPTED),
    3906: READ_ONLY,
}  # fmt: skip
_SECONDARY = {3621}  # "the statement has been terminated": the error before it says why
_NUMBER = re.compile(r"\((-?\d+)\)(?= *(?:\(SQL\w+\)|;|$))")
_LOGIN_WORDS = (
    "authentication failed",
    "pg_hba.conf",
    "no password supplied",
    "not permitted to log in",
    "Login failed",
)


def meaning(state: str | None, numbers: tuple[int, ...] = ()) -> Meaning | None:
    """What a SQLSTATE and the server's own numbers mean, the number first; null: nothing that we know."""
    ranked = sorted(numbers, key=lambda number: number in _SECONDARY)
    for number in ranked:
        if found := BY_NUMBER.get(number):
            return found
    for length in range(len(state or ""), 1, -1):
        if found := BY_STATE.get((state or "")[:length]):
            return found
    return None


def refusal(name: str, state: str | None, message: str) -> TerraFusionError:
    """What a driver said, as a refusal of the source of the pair `name`.

    The message may quote a person's name: it is looked at for numbers and, of failed connections, for words, and never
    shown.
    """
    numbers = tuple(int(number) for number in _NUMBER.findall(message)) if "SQL Server" in message else ()
    found = meaning(_worded(state, message), numbers) or REFUSED
    details: dict[str, Any] = {"sqlstate": state, "numbers": list(numbers)}
    said = ", ".join([f"SQLSTATE {state}"] * bool(state) + [f"error {number}" for number in numbers])
    return _refusal(name, found, said, details)


def _worded(state: str | None, message: str) -> str | None:
    """A state for failed connections that have none, or one that says no more than that."""
    if not state or state.startswith("08") or state == "HY000":
        if any(word in message for word in _LOGIN_WORDS):
            return "28000"
        if "does not exist" in message and ('database "' in message or 'role "' in message):
            return "3D000" if 'database "' in message else "28000"
        if "[FreeTDS]" in message and "Unknown error (0)" in message:  # no server's word: the connection is gone
            return "08S01"
    return state or "08000"


def _refusal(name: str, found: Meaning, said: str, details: dict[str, Any]) -> TerraFusionError:
    kind = TransientError if found.is_transient else PermanentError
    return kind(found.code, f"the source of {name} {found.text}" + (f" ({said})" if said else ""), details=details)


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Turns errors of a source's driver, and of spelling what it gave, into refusals.

    Raises:
        TransientError: `source_unavailable`, `source_timeout`, `source_locked`, `source_deadlocked`, …
        PermanentError: `source_login_refused`, `source_forbidden`, `source_table_missing`, `source_row_unreadable`, …
    """
    try:
        yield
    except (UnicodeDecodeError, decimal.InvalidOperation) as error:
        raise _refusal(name, UNREADABLE, type(error).__name__, {}) from error
    except Exception as error:
        said = _driver_said(error)
        if said is None:
            raise
        raise refusal(name, *said) from error


def _driver_said(error: Exception) -> tuple[str | None, str] | None:
    """The SQLSTATE and the message of a driver's error: psycopg's attribute, pyodbc's first argument."""
    driver = type(error).__module__.partition(".")[0]
    if driver == "psycopg":
        return getattr(error, "sqlstate", None), str(error)
    if driver != "pyodbc":
        return None
    first = str(error.args[0]) if error.args else ""
    return first if re.fullmatch(r"[0-9A-Z]{5}", first) else None, str(error.args[-1] if error.args else "")
