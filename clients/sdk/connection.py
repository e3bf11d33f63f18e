"""Where the platform is: from the environment, else from the `up.json` of a platform on this machine."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx

from clients.sdk.client import GatewayError, JobFailedError, TerraFusion

UP_FILE = Path("var/up.json")


def refuse(message: str) -> NoReturn:
    """End the command with one clear line."""
    print(f"terrafusion: {message}", file=sys.stderr)
    sys.exit(1)


def running_platform() -> dict[str, Any]:
    """What `terrafusion up` wrote; empty where none runs here."""
    return json.loads(UP_FILE.read_text()) if UP_FILE.exists() else {}


def database_url() -> str:
    """The operational database."""
    return _setting("TERRAFUSION_OPERATIONAL_DB_URL", "database_url")


def nats_url() -> str:
    """The message bus."""
    return _setting("TERRAFUSION_NATS_URL", "nats_url")


def gateway_url() -> str:
    """The gateway."""
    return _setting("TERRAFUSION_GATEWAY_URL", "gateway_url")


@contextmanager
def gateway() -> Iterator[TerraFusion]:
    """A logged-in client: by `TERRAFUSION_TOKEN`, else by the local administrator's credentials."""
    token = os.environ.get("TERRAFUSION_TOKEN")
    try:
        with TerraFusion(gateway_url(), token=token) as client:
            if token is None:
                client.login(**_credentials())
            yield client
    except (GatewayError, JobFailedError, TimeoutError) as error:
        refuse(str(error))
    except httpx.TransportError as error:
        refuse(f"the gateway at {gateway_url()} does not answer: {error}")


def _credentials() -> dict[str, str]:
    path = os.environ.get("TERRAFUSION_CREDENTIALS_FILE") or running_platform().get("credentials_file")
    if not path or not Path(path).exists():
        refuse("no credentials: set TERRAFUSION_TOKEN, or run `terrafusion up` on this machine")
    found: dict[str, str] = json.loads(Path(path).read_text())
    return found


def _setting(variable: str, name: str) -> str:
    value = os.environ.get(variable) or running_platform().get(name)
    if not value:
        refuse(f"set {variable}, or run `terrafusion up` on this machine first")
    return str(value)
