"""What the routes work with: one object per process, kept by the application."""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request
from nats.aio.client import Client

from chassis.database import Database
from chassis.errors import NotFoundError
from chassis.storage import Storage
from contracts.subjects import COUNTY_PATTERN
from services.gateway.accounts import Accounts
from services.gateway.domain.throttle import LoginThrottle
from services.gateway.domain.tokens import Tokens
from services.gateway.event_hub import EventHub
from services.gateway.settings import GatewaySettings

_COUNTY_SECONDS = 1.0  # how long a county's folder is taken to be still there
_COUNTY = re.compile(COUNTY_PATTERN)


@dataclass
class Gateway:
    """The gateway's settings, connections and memory."""

    settings: GatewaySettings
    database: Database
    storage: Storage
    client: Client
    tokens: Tokens
    accounts: Accounts
    throttle: LoginThrottle
    hub: EventHub
    started_at: float = field(default_factory=time.monotonic)
    _counties_seen: dict[str, float] = field(default_factory=dict)

    @property
    def counties_dir(self) -> Path:
        """Where the county folders stand."""
        return self.settings.counties_dir

    def require_county(self, county: str) -> None:
        """Refuse a county that has no folder.

        Raises:
            NotFoundError: `county_unknown`.
        """
        now = time.monotonic()
        if now - self._counties_seen.get(county, -_COUNTY_SECONDS) < _COUNTY_SECONDS:
            return
        if not _COUNTY.fullmatch(county) or not (self.counties_dir / county / "county.yaml").is_file():
            raise NotFoundError("county_unknown", f"there is no county {county!r}")
        self._counties_seen[county] = now


def gateway_of(request: Request) -> Gateway:
    """The process' gateway."""
    state: Gateway = request.app.state.gateway
    return state
