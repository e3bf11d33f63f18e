"""The gateway's wiring: `python -m chassis.run gateway`."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from chassis import logs, telemetry
from chassis.database import Database
from chassis.migrations import require_current
from chassis.service import running_bus
from chassis.storage import Storage
from contracts.api.problems import Problem
from services.gateway import problems
from services.gateway.accounts import Accounts
from services.gateway.application import Application
from services.gateway.domain.throttle import LoginThrottle
from services.gateway.domain.tokens import Tokens
from services.gateway.event_hub import EventHub
from services.gateway.middleware import Requests
from services.gateway.routes import (
    artifacts,
    auth,
    documentation,
    events,
    gis_export,
    jobs,
    operations,
    parcels,
    runs,
    sales_review,
    schedules,
    sync,
    sync_actions,
    sync_lists,
    valuation_actions,
    valuation_runs,
)
from services.gateway.settings import GatewaySettings
from services.gateway.state import Gateway

log = logging.getLogger(__name__)
#: the middleware makes the request's span; FastAPI's own would be three more, and its logs show refused values
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
#: spans that wait for their export are many objects and no garbage: look for garbage less often than by default
_COLLECT_AFTER = (20_000, 20, 20)
#: in the order in which paths are tried: the busiest first
_ROUTES = (
    runs,
    jobs,
    events,
    artifacts,
    parcels,
    gis_export,
    sync,
    sync_lists,
    sync_actions,
    valuation_runs,
    valuation_actions,
    sales_review,
    schedules,
    auth,
    operations,
    documentation,
)


def create_app(settings: GatewaySettings) -> Application:
    """The gateway as an ASGI application; it connects when it starts."""
    app = Application(
        title="TerraFusion",
        version=operations.VERSION,
        description="Stands beside a county's legacy CAMA system: jobs, their events and files, the canonical record.",
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
        responses={"default": {"model": Problem, "description": "A problem (RFC 9457) with a stable code"}},
    )
    app.state.settings = settings
    app.add_middleware(Requests, settings=settings)
    problems.register(app)
    for routes in _ROUTES:
        app.include_router(routes.router)
    documentation.mount_assets(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: GatewaySettings = app.state.settings
    logs.configure("gateway", level=settings.log_level)
    provider = telemetry.configure("terrafusion-gateway")
    database = Database(
        settings.operational_db_url.get_secret_value(),
        service="gateway",
        pool_size=settings.database_pool_size,
        transaction_silence=settings.transaction_silence,
    )
    async with running_bus(settings, "gateway", database) as client:
        async with database.pool.acquire() as connection:
            await require_current(connection)
        tokens = Tokens(settings.secret_key.get_secret_value(), lifetime=settings.access_token_lifetime)
        app.state.gateway = Gateway(
            settings=settings,
            database=database,
            storage=Storage(settings.storage_url),
            client=client,
            tokens=tokens,
            accounts=Accounts(
                database,
                tokens,
                counties_dir=settings.counties_dir,
                refresh_lifetime=settings.refresh_token_lifetime,
            ),
            throttle=LoginThrottle(
                attempts=settings.login_attempts, window_seconds=settings.login_window.total_seconds()
            ),
            hub=EventHub(client),
        )
        gc.collect()
        gc.set_threshold(*_COLLECT_AFTER)
        gc.freeze()  # routes and models stay for good: let no later collection walk through them
        log.info("service started")
        yield
    await asyncio.to_thread(provider.shutdown)


app = create_app(GatewaySettings())
