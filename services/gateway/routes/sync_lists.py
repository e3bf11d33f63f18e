"""What there is to see of following a source: tables, quarantine, certificates, approvals, conflicts, drift."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from contracts.api.base import Page
from contracts.api.sync_state import (
    Approval,
    ApprovalsQuery,
    CertificatesQuery,
    CertificateSummary,
    ConflictsQuery,
    QuarantinedRow,
    QuarantineQuery,
    SchemaChange,
    SchemaChangesQuery,
    SyncCertificate,
    SyncConflict,
    SyncQuery,
    SyncTable,
)
from contracts.events.ingest import MASK
from contracts.subjects import COUNTY_PATTERN, JobKind
from services.gateway import sync_queries
from services.gateway.access import CurrentCaller
from services.gateway.answers import answer
from services.gateway.domain.permissions import EVERY_COUNTY, PII_READ, Caller
from services.gateway.paging import cut, moment, position
from services.gateway.pairs import require_pair
from services.gateway.readable import find_readable, readable_county
from services.gateway.state import Gateway, gateway_of
from services.gateway.sync_queries import Listing

router = APIRouter(prefix="/api/v1/sync", tags=["sync"])
Shown = TypeVar("Shown", bound=BaseModel)
CountyName = Annotated[str | None, Query(pattern=COUNTY_PATTERN, description="may be left out by who has only one")]
_FROM_TEXT: dict[str, Callable[[str], Any]] = {"text": str, "uuid": UUID, "timestamptz": moment}


@router.get("/pairs/{pair}/tables", response_model=Page[SyncTable], summary="The tables of a pair")
async def tables(request: Request, caller: CurrentCaller, pair: str, county: CountyName = None) -> Response:
    """Each table with its reader, how far it has come, why it is stopped, and what its reader cannot see."""
    gateway = gateway_of(request)
    chosen = readable_county(gateway, caller, county, kind=JobKind.SYNC)
    async with gateway.database.read(chosen) as connection:
        rows = await sync_queries.list_tables(connection, chosen, pair=pair)
    if not rows and chosen != EVERY_COUNTY:
        await require_pair(gateway, chosen, pair)
    return answer(Page[SyncTable](items=[SyncTable(**row) for row in rows]))


@router.get("/quarantine", response_model=Page[QuarantinedRow], summary="Rows that are held back")
async def quarantine(request: Request, caller: CurrentCaller, query: Annotated[QuarantineQuery, Query()]) -> Response:
    """Source rows that broke a rule, with the rule and the offending value."""
    return await _page(gateway_of(request), caller, sync_queries.QUARANTINE, query, QuarantinedRow)


@router.get("/certificates", response_model=Page[CertificateSummary], summary="Certificates, the newest first")
async def certificates(
    request: Request, caller: CurrentCaller, query: Annotated[CertificatesQuery, Query()]
) -> Response:
    """Which runs were certified, and whether they hold."""
    return await _page(gateway_of(request), caller, sync_queries.CERTIFICATES, query, CertificateSummary)


@router.get("/certificates/{certificate_id}", response_model=SyncCertificate, summary="One certificate, as a file")
async def certificate(request: Request, caller: CurrentCaller, certificate_id: UUID) -> Response:
    """The signed document."""
    row = await find_readable(
        gateway_of(request),
        caller,
        certificate_id,
        kind=JobKind.SYNC,
        what="certificate",
        find=sync_queries.read_certificate,
    )
    name = f"{row['pair']}-{row['sequence']}-certificate.json"
    return answer(SyncCertificate(**row), headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/approvals", response_model=Page[Approval], summary="Runs that wait for a person's yes")
async def approvals(request: Request, caller: CurrentCaller, query: Annotated[ApprovalsQuery, Query()]) -> Response:
    """What brakes have held, the newest first."""
    return await _page(gateway_of(request), caller, sync_queries.APPROVALS, query, Approval)


@router.get("/conflicts", response_model=Page[SyncConflict], summary="Where systems contradict each other")
async def conflicts(request: Request, caller: CurrentCaller, query: Annotated[ConflictsQuery, Query()]) -> Response:
    """The queue that a person resolves; owners' values need `pii:read`."""
    gateway = gateway_of(request)

    def show(row: asyncpg.Record) -> SyncConflict:
        shown = SyncConflict(**row)
        if shown.entity != "owner" or caller.may(PII_READ, shown.county):
            return shown
        masked = [candidate.model_copy(update={"value": MASK}) for candidate in shown.candidates]
        return shown.model_copy(update={"candidates": masked})

    return await _page(gateway, caller, sync_queries.CONFLICTS, query, SyncConflict, show=show)


@router.get("/schema-changes", response_model=Page[SchemaChange], summary="Changes of the source's own shape")
async def schema_changes(
    request: Request, caller: CurrentCaller, query: Annotated[SchemaChangesQuery, Query()]
) -> Response:
    """Columns that came, went or changed, the newest first."""
    return await _page(gateway_of(request), caller, sync_queries.SCHEMA_CHANGES, query, SchemaChange)


async def _page(
    gateway: Gateway,
    caller: Caller,
    listing: Listing,
    query: SyncQuery | ConflictsQuery,
    model: type[Shown],
    *,
    show: Any = None,
) -> Response:
    county = readable_county(gateway, caller, query.county, kind=JobKind.SYNC)
    filters = query.model_dump(exclude={"county", "limit", "cursor"})
    filters["source_table"] = filters.pop("table", None)
    after = position(query.cursor, *(_FROM_TEXT[kind] for kind in listing.key.values()))
    async with gateway.database.read(county) as connection:
        rows = await sync_queries.list_rows(
            connection, county, listing, filters=filters, after=after, limit=query.limit + 1
        )
    page, following = cut(rows, query.limit, *listing.key)
    items = [show(row) if show else model(**row) for row in page]
    return answer(Page[model](items=items, next=following))  # type: ignore[valid-type]
