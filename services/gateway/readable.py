"""What of a kind of job a request may see: in which counties, and which row by its id."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from chassis.counties import county_names
from chassis.errors import NotFoundError
from contracts.subjects import JobKind
from services.gateway.access import choose_county, require, visible_counties
from services.gateway.domain.permissions import EVERY_COUNTY, Caller, read
from services.gateway.state import Gateway

Find = Callable[[Any, Sequence[str], UUID], Awaitable[asyncpg.Record | None]]


def readable_county(gateway: Gateway, caller: Caller, county: str | None, *, kind: JobKind | None = None) -> str:
    """One county; all of them only for whom every county is open and who names none.

    Without a kind the list's own rows decide what the caller may see of them.

    Raises:
        ForbiddenError: `county_forbidden` or `permission_denied`.
        PermanentError: `county_required`.
    """
    if county is None and visible_counties(caller) == [EVERY_COUNTY]:
        return EVERY_COUNTY
    return choose_county(gateway, caller, county, permission=read(kind) if kind else None)


async def find_readable(
    gateway: Gateway, caller: Caller, row_id: UUID, *, kind: JobKind, what: str, find: Find
) -> asyncpg.Record:
    """What only its id names, in a county that the caller may see; one of another county is not there at all.

    Raises:
        NotFoundError: `<what>_not_found`.
        ForbiddenError: `permission_denied`.
    """
    for county in visible_counties(caller):
        counties = county_names(gateway.counties_dir) if county == EVERY_COUNTY else [county]
        async with gateway.database.read(county) as connection:
            row = await find(connection, counties, row_id)
        if row is not None:
            require(gateway, caller, row["county"], permission=read(kind))
            return row
    raise NotFoundError(f"{what}_not_found", f"there is no {what} {row_id}")
