"""How the gateway and the platform are."""

import asyncio
import os
import resource
import sys
import time
from datetime import UTC, datetime
from importlib import metadata

import asyncpg
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from chassis import queries as chassis_queries
from chassis.counties import county_names
from contracts.api.operations import Status, SystemMetrics
from contracts.api.sync import SyncOperation
from contracts.subjects import JobKind
from services.gateway import queries, record_queries
from services.gateway.access import CurrentCaller, visible_counties
from services.gateway.answers import answer
from services.gateway.domain.permissions import EVERY_COUNTY, Caller, read
from services.gateway.state import Gateway, gateway_of

router = APIRouter(tags=["operations"])
VERSION = metadata.version("terrafusion")
_CHECK_SECONDS = 2


@router.get("/", summary="What this is")
async def root() -> Response:
    """Where to go from here."""
    links = {"documentation": "/docs", "openapi": "/openapi.json", "health": "/health", "login": "/auth/login"}
    return JSONResponse({"name": "TerraFusion", "version": VERSION, "links": links})


@router.get("/health", summary="The process lives")
@router.get("/gateway-health", summary="The process lives, by its other name")
async def health() -> Response:
    """Always ok while requests are answered; `/ready` says whether they can be served."""
    return JSONResponse({"status": "ok"})


@router.get("/ready", summary="Database and bus answer", responses={503: {"description": "Either does not"}})
async def ready(request: Request) -> Response:
    """503 while either is away."""
    gateway = gateway_of(request)
    states = {"database": await _database_state(gateway), "bus": _bus_state(gateway)}
    return JSONResponse(states, 200 if set(states.values()) == {"ok"} else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
@router.get("/gateway-metrics", summary="Prometheus metrics, by their other name", response_class=PlainTextResponse)
async def metrics() -> Response:
    """The process' metrics in the Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/status", response_model=Status, summary="How the platform is")
async def status(request: Request, caller: CurrentCaller) -> Response:
    """The state of database and bus, and the caller's counties and jobs."""
    gateway = gateway_of(request)
    database, bus = await _database_state(gateway), _bus_state(gateway)
    return answer(
        Status.model_validate(
            {
                "status": "ok" if database == bus == "ok" else "degraded",
                "version": VERSION,
                "time": datetime.now(UTC),
                "database": database,
                "bus": bus,
                "counties": [name for name in county_names(gateway.counties_dir) if caller.covers(name)],
                "jobs": await _jobs(gateway, caller) if database == "ok" else {},
            }
        )
    )


@router.get("/api/metrics/system", response_model=SystemMetrics, summary="Figures of the system")
async def system_metrics(request: Request, caller: CurrentCaller) -> Response:
    """The machine, the process, what waits to be published, and the newest synchronisations."""
    gateway = gateway_of(request)
    async with gateway.database.read(EVERY_COUNTY) as connection:
        waiting, lag_seconds = await chassis_queries.outbox_lag(connection)
    return answer(
        SystemMetrics(
            time=datetime.now(UTC),
            uptime_seconds=time.monotonic() - gateway.started_at,
            processors=os.cpu_count() or 1,
            load_average=list(os.getloadavg()),
            memory_bytes=_memory_bytes(),
            outbox_events=waiting,
            outbox_lag_seconds=lag_seconds,
            jobs=await _jobs(gateway, caller),
            latest_operations=await _latest_operations(gateway, caller),
        )
    )


async def _jobs(gateway: Gateway, caller: Caller) -> dict[str, int]:
    counts: dict[str, int] = {}
    for county in visible_counties(caller):
        async with gateway.database.read(county) as connection:
            for name, jobs in (await queries.count_jobs(connection, county)).items():
                counts[name] = counts.get(name, 0) + jobs
    return counts


async def _latest_operations(gateway: Gateway, caller: Caller) -> list[SyncOperation]:
    found: list[SyncOperation] = []
    for county in visible_counties(caller):
        if caller.may(read(JobKind.SYNC), county):
            async with gateway.database.read(county) as connection:
                rows = await record_queries.list_sync_operations(connection, county, pair=None, limit=10)
            found += [SyncOperation.model_validate(dict(row)) for row in rows]
    return sorted(found, key=lambda operation: operation.started_at, reverse=True)[:10]


async def _database_state(gateway: Gateway) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await gateway.database.pool.fetchval("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return "unavailable"
    return "ok"


def _bus_state(gateway: Gateway) -> str:
    return "ok" if gateway.client.is_connected else "unavailable"


def _memory_bytes() -> int:
    """The largest resident size so far; Linux counts it in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
