"""Runs synchronisation jobs against real databases, as a worker would but without the bus."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from chassis import queries as chassis_queries
from chassis.database import Database
from chassis.jobs import Tools
from chassis.outbox import new_id
from chassis.settings import REPOSITORY
from chassis.storage import Storage
from chassis.worker import Worker
from contracts.events.jobs import JobRequested
from contracts.subjects import JobKind
from services.ingest.handlers import router
from services.ingest.settings import Settings


@dataclass
class SyncBench:
    """A pair of a county, and the operational database that it is synchronised into."""

    database: Database
    county: str
    pair: str
    counties_dir: Path = REPOSITORY / "deploy" / "counties"
    storage: str = "file:///tmp"
    jobs: list[UUID] = field(default_factory=list)

    @property
    def tools(self) -> Tools:
        return Tools(self.database, Storage(self.storage), self.counties_dir, "ingest")

    async def request(
        self, mode: str, tables: list[str] | None = None, *, job_id: UUID | None = None, **more: Any
    ) -> JobRequested:
        """A queued job, as the gateway would write it."""
        parameters = {"pair": self.pair, "mode": mode, "tables": tables, **more}
        requested = JobRequested(
            county=self.county,
            occurred_at=datetime.now(UTC),
            job_id=job_id or new_id(),
            kind=JobKind.SYNC,
            attempt=0,
            parameters=parameters,
            requested_by="test",
        )
        connection = await self.superuser()
        try:
            await connection.execute(
                "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by)"
                " VALUES ($1, $2, 'sync', $3, '', 'test')",
                self.county,
                requested.job_id,
                json.dumps(parameters),
            )
        finally:
            await connection.close()
        self.jobs.append(requested.job_id)
        return requested

    async def superuser(self) -> Any:
        connection = await asyncpg.connect(self.database.url)
        await connection.execute(f"SET terrafusion.county = '{self.county}'")
        return connection

    async def run(self, mode: str, tables: list[str] | None = None, **more: Any) -> dict[str, Any]:
        """Run a job to its end by the worker; returns the job's row."""
        return await self.receive(await self.request(mode, tables, **more))

    async def receive(self, requested: JobRequested) -> dict[str, Any]:
        """What a worker makes of a job that was asked for; returns the job's row."""
        worker = Worker(router.definitions[0], self.tools, Settings(job_attempts=1))
        await worker.receive(requested)
        job = await self.job(requested.job_id)
        if job["status"] == "succeeded":
            assert_certified(job["result"])
        return job

    async def job(self, job_id: UUID) -> dict[str, Any]:
        async with self.database.read(self.county) as connection:
            row = await chassis_queries.read_job(connection, self.county, job_id)
            assert row is not None
            return dict(row)

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.read(self.county) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def said(self, prefixes: Sequence[str] = ("parcel.", "sale.", "owner.")) -> list[tuple[str, dict[str, Any]]]:
        """Subjects and bodies that wait in the outbox."""
        rows = await self.fetch("SELECT subject, body FROM chassis.outbox ORDER BY position")
        return [(r["subject"], json.loads(r["body"])) for r in rows if r["subject"].startswith(tuple(prefixes))]

    async def forget(self) -> None:
        """Empty the outbox, as the relay would."""
        async with self.database.begin(self.county) as unit:
            await unit.connection.execute("DELETE FROM chassis.outbox")


def assert_certified(result: dict[str, Any]) -> None:
    """A run that was certified holds, unless tables are stopped, which its certificate then says and nothing else."""
    certificate = result.get("certificate") or {}
    found = [line for line in certificate.get("differences", ()) if not line.endswith(": followed")]
    assert found == [], f"certificate {certificate['certificate_id']} does not hold"
