"""What a driver's error means: a refusal with a stable code, and without the values that drivers quote."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from chassis.errors import PermanentError, TerraFusionError, TransientError

#: SQLSTATE classes and states; the longest that matches counts
_PERMANENT = {
    "28": ("source_login_refused", "refuses the login"),
    "3D000": ("source_missing", "has no database of that name"),
    "42501": ("source_forbidden", "does not let this login read what is mapped"),
    "42P01": ("source_table_missing", "lacks a table that was there"),
    "42703": ("source_column_missing", "lacks a column that was there"),
}
_TRANSIENT = {
    "08": ("source_unavailable", "cannot be reached"),
    "53": ("source_unavailable", "has run out of something"),
    "57P": ("source_unavailable", "is shutting down"),
    "57014": ("source_timeout", "took longer than query_timeout_seconds"),
    "55P03": ("source_locked", "kept a lock longer than lock_timeout_seconds"),
    "40": ("source_deadlocked", "gave way to another transaction"),
    "25": ("source_unavailable", "closed the transaction"),
}
_LOGIN_WORDS = ("authentication failed", "pg_hba.conf", "no password supplied", "is not permitted to log in")


def refusal(name: str, state: str | None, message: str) -> TerraFusionError | None:
    """The error of a SQLSTATE; null: it is none of the source's, but a mistake of ours.

    The message of a driver is looked at where it has no state, and never shown.
    """
    if not state:
        if any(word in message for word in _LOGIN_WORDS) or ("role" in message and "does not exist" in message):
            state = "28000"
        elif 'database "' in message and "does not exist" in message:
            state = "3D000"
        else:
            state = "08000"
    for kind, codes in ((PermanentError, _PERMANENT), (TransientError, _TRANSIENT)):
        for prefix in sorted(codes, key=len, reverse=True):
            if state.startswith(prefix):
                code, meaning = codes[prefix]
                return kind(code, f"the source of {name} {meaning} (SQLSTATE {state})", details={"sqlstate": state})
    return None


@contextmanager
def told_plainly(name: str) -> Iterator[None]:
    """Turns errors of psycopg into refusals."""
    try:
        yield
    except psycopg.Error as error:
        found = refusal(name, error.sqlstate, str(error))
        if found is None:
            raise
        raise found from error
