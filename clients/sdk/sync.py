"""`terrafusion sync …`: follow the legacy system."""

from typing import Annotated

import typer
from rich.console import Console

from clients.sdk.client import TerraFusion
from clients.sdk.connection import gateway, refuse
from clients.sdk.jobs import show, watch_job

sync_app = typer.Typer(name="sync", help="Synchronisation with the legacy system.", no_args_is_help=True)
PairArgument = Annotated[str, typer.Argument(help="A sync pair, such as benton_pacs.")]


@sync_app.command("full")
def sync_full(pair: PairArgument) -> None:
    """Read everything and bring the canonical record to it."""
    _run(pair, "full")


@sync_app.command("incremental")
def sync_incremental(pair: PairArgument) -> None:
    """Apply what has changed since the last run."""
    _run(pair, "incremental")


@sync_app.command("status")
def sync_status(pair: PairArgument) -> None:
    """Show a pair and its last operations."""
    with gateway() as client:
        county = _county_of(client, pair)
        operations = client.request("GET", "/api/sync-operations", params={"county": county, "pair": pair})
        Console(highlight=False).print_json(data=operations)


def _run(pair: str, mode: str) -> None:
    with gateway() as client:
        job = client.request("POST", f"/api/sync/{mode}", json={"county": _county_of(client, pair), "pair": pair})
        show(watch_job(client, client.job(job["id"])))


def _county_of(client: TerraFusion, pair: str) -> str:
    pairs = client.request("GET", "/api/sync-pairs")["items"]
    found = [item["county"] for item in pairs if item["pair"] == pair]
    if not found:
        refuse(f"there is no pair {pair!r}: {', '.join(item['pair'] for item in pairs) or 'none is configured'}")
    return str(found[0])
