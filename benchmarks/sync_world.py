"""A synthetic county in a source and an operational database, each on a server of its own that logs what it spends."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.statement_log import SETTINGS, StatementLog
from chassis import migrations
from chassis.database import Database
from chassis.embedded.postgres import EmbeddedPostgres
from services.ingest.synthetic.county import synthesize
from tests.support import servers
from tests.support.sync_jobs import SyncBench

COUNTY, PAIR = "synthetic_wa", "synthetic_wa_pacs"


class Server:
    """A PostgreSQL server, its log, and the processor time of its processes."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.url = server.url
        self.log = StatementLog(server.log_path)

    def create_database(self, name: str) -> str:
        """As `servers.DatabaseServer`."""
        return self.server.create_database(name)

    def processor_seconds(self) -> float:
        """Of the postmaster, of its children that live, and of those that have ended."""
        postmaster = psutil.Process(self.server.pid)
        own = postmaster.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in postmaster.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return float(total)


@contextmanager
def logging_server() -> Iterator[Server]:
    """A server as tests have it, without durability, with the log of its statements."""
    with (
        servers.server_folder() as folder,
        EmbeddedPostgres(folder / "postgres", settings={**servers.FAST, **SETTINGS}) as server,
    ):
        yield Server(server)


@dataclass
class World:
    """A county to follow, as often as wanted: each time into an empty operational database."""

    source: Server
    source_url: str
    operational: Server
    template: str
    folder: Path

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[SyncBench]:
        """A migrated, empty operational database, and the pair whose source is the county."""
        with ExitStack() as stack:
            _, url = stack.enter_context(servers.database(self.operational, template=self.template))
            database = Database(url, service="ingest")
            await database.open()
            try:
                yield SyncBench(database, COUNTY, PAIR, storage=f"file://{self.folder}")
            finally:
                await database.close()


@asynccontextmanager
async def world(parcels: int) -> AsyncIterator[World]:
    """A county of so many parcels."""
    with (
        servers.server_folder() as folder,
        logging_server() as source,
        logging_server() as operational,
        servers.database(source) as (_, source_url),
        servers.database(operational) as (template, template_url),
    ):
        migrations.upgrade(template_url)
        await asyncio.to_thread(synthesize, source_url, county=COUNTY, parcels=parcels, seed=1)
        os.environ[f"TERRAFUSION_SOURCE_{PAIR.upper()}_URL"] = source_url
        os.environ.setdefault("TERRAFUSION_SECRET_KEY", "only-for-measuring-" * 2)
        yield World(source, source_url, operational, template, folder)


def database_name(bench: SyncBench) -> str:
    """The name of the operational database."""
    return bench.database.url.rsplit("/", 1)[1].split("?")[0]


async def succeed(bench: SyncBench, mode: str, **parameters: Any) -> dict[str, Any]:
    """A run that has to succeed; its result."""
    job = await bench.run(mode, **parameters)
    if job["status"] != "succeeded":
        raise RuntimeError(f"{mode}: {job['error']}")
    result: dict[str, Any] = job["result"]
    return result
