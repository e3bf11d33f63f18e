"""`terrafusion up`: the whole platform on one machine until it is told to stop."""

# Starting servers needs libraries that other commands do not: they are imported when the command runs.
# ruff: noqa: PLC0415

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from clients.sdk.platform import Platform

SEED_COUNTY = "synthetic_wa"
SEED_PARCELS = 3000
_DAMAGED = frozenset({"data_dir_damaged", "data_dir_version"})
console = Console(highlight=False)


def up_command(
    *,
    seed: Annotated[bool, typer.Option(help="Also fill the synthetic county and synchronise it.")] = False,
    port: Annotated[
        int, typer.Option(envvar="TERRAFUSION_HTTP_PORT", min=1, max=65_535, help="The gateway's port.")
    ] = 5000,
    folder: Annotated[Path, typer.Option("--var", help="Where data, logs and credentials are kept.")] = Path("var"),
) -> None:
    """Run PostgreSQL, NATS and every service on this machine."""
    from chassis.embedded.errors import EmbeddedServerError
    from clients.sdk.platform import Platform, PlatformError

    interrupt_once()
    try:
        with Platform(folder, gateway_port=port) as platform:
            environment = seed_source(platform) if seed else {}
            platform.start_services(environment)
            if seed:
                synchronize_seed(platform)
            announce(platform)
            threading.Event().wait()
    except KeyboardInterrupt:
        console.print("stopped")
    except (PlatformError, EmbeddedServerError) as error:
        print(f"terrafusion up: {error}", file=sys.stderr)  # not through rich: logs hold brackets
        if isinstance(error, EmbeddedServerError) and error.code in _DAMAGED:
            print(f"a copy of {folder} from before, put in its place, mends it", file=sys.stderr)
        sys.exit(1)


def interrupt_once() -> None:
    """Let the first signal that asks for the end interrupt whatever is going on, and the next ones not its end."""
    asked = threading.Event()

    def interrupt(*_: object) -> None:
        if not asked.is_set():
            asked.set()
            console.print("stopping …")
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def announce(platform: "Platform") -> None:
    """Say where everything is."""
    path = platform.write_description()
    console.print(f"gateway      {platform.gateway_url}   (interface: {platform.gateway_url}/docs)")
    console.print(f"bus          nats://127.0.0.1:{platform.nats_url.rpartition(':')[2]}")
    console.print(f"credentials  {platform.folder / 'credentials.json'}")
    console.print(f"all URLs     {path}")
    console.print("ready; Ctrl-C stops everything")


def seed_source(platform: "Platform") -> dict[str, str]:
    """Fill the synthetic county's source database, unless it is filled; returns the services' settings for it."""
    from clients.sdk.demo_source import SyntheticSource

    return SyntheticSource(platform, parcels=SEED_PARCELS, seed=1).prepare(keep=True)


def synchronize_seed(platform: "Platform") -> None:
    """Bring the synthetic county into the canonical record."""
    from clients.sdk.client import TerraFusion

    with TerraFusion(platform.gateway_url) as client:
        client.login(**platform.credentials())
        body = {"county": SEED_COUNTY, "pair": f"{SEED_COUNTY}_pacs"}
        job = client.request("POST", "/api/sync/full", json=body)
        client.wait(client.job(job["id"]))
