"""Pages of a list: where a cursor says to go on, and the cursor of the page that follows."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from chassis.errors import PermanentError
from services.gateway.domain import cursors


def position(cursor: str | None, *parts: Callable[[str], Any]) -> tuple[Any, ...] | None:
    """The key of the row that a cursor goes on after, each of its parts read from text; None from the start.

    Raises:
        PermanentError: `cursor_invalid`.
    """
    if cursor is None:
        return None
    try:
        key = cursors.decode(cursor, parts=len(parts))
        return tuple(read(text) for read, text in zip(parts, key, strict=True))
    except (ValueError, OverflowError) as error:
        raise PermanentError("cursor_invalid", "the cursor is not one of this list") from error


def moment(text: str) -> datetime:
    """A time of a cursor, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def cut(rows: list[asyncpg.Record], limit: int, *key: str) -> tuple[list[asyncpg.Record], str | None]:
    """A page of rows, of which one more than the limit was read, and the cursor of the next where there is one."""
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    return page, cursors.encode([_text(page[-1][name]) for name in key])


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
