"""Cursors of keyset pagination: the sort key of the last row, opaque to clients."""

import base64
import binascii
import json
from collections.abc import Sequence


class CursorInvalidError(ValueError):
    """A cursor that is not one of ours."""


def encode(key: Sequence[str]) -> str:
    """The cursor that continues after a row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(list(key), separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str, *, parts: int) -> list[str]:
    """The sort key in a cursor.

    Raises:
        CursorInvalidError: it was not made by `encode` with so many parts.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise CursorInvalidError("not a cursor") from error
    if not isinstance(key, list) or len(key) != parts or not all(isinstance(part, str) for part in key):
        raise CursorInvalidError("not a cursor of this list")
    return key
