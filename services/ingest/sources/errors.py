"""What a driver's error means: a refusal with a stable code, and without the values that drivers quote."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from chassis.errors import PermanentError, TerraFusionError, TransientError

_MEANINGS: dict[str, tuple[type[TerraFusionError], str]] = {
    "source_login_refused": (PermanentError, "refuses the login"),
    "source_missing": (PermanentError, "has no database of that name for this login"),
    "source_forbidden": (PermanentError, "does not let this login read what is mapped"),
    "source_table_missing": (PermanentError, "lacks a table that was there"),
    "source_column_missing": (PermanentError, "lacks a column that was there"),
    "source_query_refused": (PermanentError, "refuses a query"),
    "source_unavailable": (TransientError, "cannot be reached"),
    "source_timeout": (TransientError, "took longer than query_timeout_seconds"),
    "source_locked": (TransientError, "kept a lock longer than lock_timeout_seconds"),
    "source_deadlocked": (TransientError, "gave way to another transaction"),
}

#: SQLSTATE classes and states, of PostgreSQL and ODBC; the longest that matches counts
_STATES = {
    "28": "source_login_refused",
    "3D000": "source_missing",
    "42501": "source_forbidden",
    "42P01": "source_table_missing",
    "42S02": "source_table_missing",
    "42703": "source_column_missing",
    "42S22": "source_column_missing",
    "08": "source_unavailable",
    "53": "source_unavailable",
    "57P": "source_unavailable",
    "25": "source_unavailable",
    "57014": "source_timeout",
    "HYT": "source_timeout",
    "S1T00": "source_timeout",
    "55P03": "source_locked",
    "40": "source_deadlocked",
}

#: SQL Server's own numbers, which say more than its states
_NUMBERS = {
    229: "source_forbidden",
    230: "source_forbidden",
    916: "source_forbidden",
    207: "source_column_missing",
    208: "source_table_missing",
    1205: "source_deadlocked",
    1222: "source_locked",
    4060: "source_missing",
    18456: "source_login_refused",
    18452: "source_login_refused",
}

#: where a driver has no state, or a state that says nothing, the words of its message
_WORDS = {
    "authentication failed": "source_login_refused",
    "pg_hba.conf": "source_login_refused",
    "no password supplied": "source_login_refused",
    "not permitted to log in": "source_login_refused",
    "Login failed": "source_login_refused",
    'database "': "source_missing",
    'role "': "source_login_refused",
}
_NUMBER = re.compile(r"\((\d+)\) \(SQL")


def refusal(name: str, state: str | None, message: str) -> TerraFusionError:
    """What an error means by its SQLSTATE, by SQL Server's number and, of failed connections, by its words.

    The message of a driver may quote a person's name: it is looked at and never shown.
    """
    numbers = [int(number) for number in _NUMBER.findall(message)]
    code = next((_NUMBERS[number] for number in numbers if number in _NUMBERS), None) or _by_state(state, message)
    kind, meaning = _MEANINGS[code]
    details = {"sqlstate": state, "numbers": numbers}
    shown = f"SQLSTATE {state}" + "".join(f", error {number}" for number in numbers if number)
    return kind(code, f"the source of {name} {meaning}" + (f" ({shown})" if state else ""), details=details)


def _by_state(state: str | None, message: str) -> str:
    if not state or state.startswith("08") or state == "HY000":
        worded = next((code for words, code in _WORDS.items() if words in message), None)
        if worded is not None:
            return worded
    for prefix in sorted(_STATES, key=len, reverse=True):
        if (state or "08000").startswith(prefix):
            return _STATES[prefix]
    return "source_query_refused"


@contextmanager
def psycopg_told(name: str) -> Iterator[None]:
    """Turns errors of psycopg into refusals."""
    try:
        yield
    except psycopg.Error as error:
        raise refusal(name, error.sqlstate, str(error)) from error
