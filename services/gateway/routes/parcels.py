"""The canonical record: parcels, sales, neighbourhoods, and the comparable sales of a parcel."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from chassis.errors import NotFoundError
from contracts.api.base import Page
from contracts.api.parcels import (
    ComparablesOptions,
    LatestValue,
    Neighborhood,
    Owner,
    Parcel,
    ParcelDetail,
    ParcelsQuery,
    RecordQuery,
    Sale,
    SalesQuery,
)
from contracts.api.valuation import ComparablesAnswer, ComparablesQuery
from contracts.subjects import JobKind
from services.gateway import record_queries
from services.gateway.access import CurrentCaller, choose_county
from services.gateway.answers import answer
from services.gateway.bus_queries import ask
from services.gateway.domain.permissions import PARCELS_READ, PII_READ, read
from services.gateway.paging import cut, position
from services.gateway.state import gateway_of

router = APIRouter(prefix="/api/v1", tags=["record"])
CountyName = Annotated[str | None, Query(description="may be left out by who has only one county")]


@router.get("/parcels", response_model=Page[Parcel], summary="List parcels")
async def list_parcels(request: Request, caller: CurrentCaller, query: Annotated[ParcelsQuery, Query()]) -> Response:
    """Parcels of the working roll in the order of their ids."""
    gateway = gateway_of(request)
    county = choose_county(gateway, caller, query.county, permission=PARCELS_READ)
    (after,) = position(query.cursor, str) or (None,)
    async with gateway.database.read(county) as connection:
        rows = await record_queries.list_parcels(connection, county, query, after=after)
    page, following = cut(rows, query.limit, "parcel_id")
    return answer(Page[Parcel](items=[Parcel(**row) for row in page], next=following))


@router.get("/parcels/{parcel_id}", response_model=ParcelDetail, summary="One parcel")
async def get_parcel(request: Request, caller: CurrentCaller, parcel_id: str, county: CountyName = None) -> Response:
    """A parcel with its newest value; its owners for callers with `pii:read`."""
    gateway = gateway_of(request)
    county = choose_county(gateway, caller, county, permission=PARCELS_READ)
    async with gateway.database.read(county) as connection:
        row = await record_queries.read_parcel(connection, county, parcel_id)
        if row is None:
            raise NotFoundError("parcel_not_found", f"there is no parcel {parcel_id!r} in {county}")
        value = await record_queries.read_latest_value(connection, county, parcel_id)
        owners = None
        if caller.may(PII_READ, county):
            owners = [Owner(**owner) for owner in await record_queries.read_owners(connection, county, parcel_id)]
    latest = LatestValue(**value) if value else None
    return answer(ParcelDetail(**row, county=county, latest_value=latest, owners=owners))


@router.get("/parcels/{parcel_id}/comparables", response_model=ComparablesAnswer, summary="Comparable sales")
async def comparables(
    request: Request,
    caller: CurrentCaller,
    parcel_id: str,
    query: Annotated[ComparablesOptions, Query()],
) -> Response:
    """The adjustment grid of a parcel, as the valuation service works it out now."""
    gateway = gateway_of(request)
    county = choose_county(gateway, caller, query.county, permission=read(JobKind.VALUATION))
    asked = ComparablesQuery(parcel_id=parcel_id, comparables=query.comparables, valuation_date=query.valuation_date)
    found = await ask(gateway, f"query.valuation.comparables.{county}", asked, ComparablesAnswer)
    return answer(found)


@router.get("/sales", response_model=Page[Sale], summary="List sales")
async def list_sales(request: Request, caller: CurrentCaller, query: Annotated[SalesQuery, Query()]) -> Response:
    """Sales in the order of their ids."""
    gateway = gateway_of(request)
    county = choose_county(gateway, caller, query.county, permission=PARCELS_READ)
    after = position(query.cursor, str, str)
    async with gateway.database.read(county) as connection:
        rows = await record_queries.list_sales(connection, county, query, after=after)
    page, following = cut(rows, query.limit, "sale_id", "parcel_id")
    return answer(Page[Sale](items=[Sale(**row) for row in page], next=following))


@router.get("/neighborhoods", response_model=Page[Neighborhood], summary="List neighbourhoods")
async def list_neighborhoods(
    request: Request, caller: CurrentCaller, query: Annotated[RecordQuery, Query()]
) -> Response:
    """The county's neighbourhoods by code."""
    gateway = gateway_of(request)
    county = choose_county(gateway, caller, query.county, permission=PARCELS_READ)
    (after,) = position(query.cursor, str) or (None,)
    async with gateway.database.read(county) as connection:
        rows = await record_queries.list_neighborhoods(connection, county, after=after, limit=query.limit)
    page, following = cut(rows, query.limit, "neighborhood")
    return answer(Page[Neighborhood](items=[Neighborhood(**row) for row in page], next=following))
