"""Reads schedules; the chassis writes them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

Row = asyncpg.Record


async def list_schedules(
    connection: Any, county: str, *, kinds: Sequence[str], after: tuple[str, str] | None, limit: int
) -> list[Row]:
    """The schedules of a county (`*`: of all) by county and name."""
    place = after or (None, None)
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.schedule WHERE ($1 = '*' OR county = $1) AND kind = ANY($2::text[])"
        " AND ($3::text IS NULL OR (county, name) > ($3, $4::text)) ORDER BY county, name LIMIT $5",
        county,
        kinds,
        *place,
        limit,
    )


async def read_schedule(connection: Any, counties: Sequence[str], schedule_id: UUID) -> Row | None:
    """One schedule of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM chassis.schedule WHERE county = ANY($1::text[]) AND id = $2", counties, schedule_id
    )
