"""Where the platform is: from the environment, else from the `up.json` of a platform on this machine."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

from clients.sdk.client import GatewayError, JobFailedError, TerraFusion

if TYPE_CHECKING:
    from nats.aio.client import Client

UP_FILE = Path("var/up.json")
_CONNECT_SECONDS = 5.0


def refuse(message: str) -> NoReturn:
    """End the command with one clear line."""
    print(f"terrafusion: {message}", file=sys.stderr)
    sys.exit(1)


def running_platform() -> dict[str, Any]:
    """What `terrafusion up` wrote; empty where none runs here, which one that was killed could not write down."""
    try:
        found: dict[str, Any] = json.loads(UP_FILE.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError:
        refuse(f"{UP_FILE} may only be read by who ran `terrafusion up`: run as that account, or set TERRAFUSION_…_URL")
    except ValueError:
        refuse(f"{UP_FILE} is damaged: stop `terrafusion up` and start it again")
    return found if _runs(int(found["pid"])) else {}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs as another account
    return True


def database_url() -> str:
    """The operational database."""
    return _setting("TERRAFUSION_OPERATIONAL_DB_URL", "database_url", ("postgresql", "postgres"))


def nats_url() -> str:
    """The message bus."""
    return _setting("TERRAFUSION_NATS_URL", "nats_url", ("nats", "tls"))


def gateway_url() -> str:
    """The gateway."""
    return _setting("TERRAFUSION_GATEWAY_URL", "gateway_url", ("http", "https"))


@contextmanager
def servers() -> Iterator[None]:
    """End the command with one clear line where the database or the bus does not answer."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 takes long to import

    from chassis.outages import is_outage  # noqa: PLC0415 takes long to import

    try:
        yield
    except Exception as error:
        if not is_outage(error) and not isinstance(error, OperationalError):
            raise
        refuse("the database or the bus does not answer: `terrafusion doctor` says which, and how to mend it")


@asynccontextmanager
async def bus(name: str) -> "AsyncIterator[Client]":
    """A connection to NATS; unlike a service, a command does not wait for a server that is away.

    Raises:
        TimeoutError: it does not answer.
    """
    from chassis.bus import connect  # noqa: PLC0415 takes long to import

    async with asyncio.timeout(_CONNECT_SECONDS):
        client = await connect(nats_url(), name=name)
    try:
        yield client
    finally:
        await client.close()


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


def _setting(variable: str, name: str, schemes: tuple[str, ...]) -> str:
    value = os.environ.get(variable) or running_platform().get(name)
    if not value:
        refuse(f"set {variable}, or run `terrafusion up` on this machine first")
    if str(value).partition("://")[0].partition("+")[0] not in schemes:  # postgresql+asyncpg:// is SQLAlchemy's way
        refuse(f"{variable} is no URL that begins with {schemes[0]}://")
    return str(value)
