"""The worker and the submitter of the crash tests; each runs as a process of its own and is killed at any moment.

`python -m tests.support.crash_service worker` runs jobs of a small service. `… submitter` reads a JSON line for
each job, writes the job and its command as the gateway does, and answers with the job's id once that is committed.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any
from uuid import UUID

import uvicorn
from pydantic import BaseModel

from chassis.database import Database
from chassis.jobs import JobRouter, RunningJob
from chassis.outages import is_outage
from chassis.requests import job_requested
from chassis.service import Service, running_bus
from chassis.settings import ServiceSettings

COUNTY = "benton"
KIND = "market"
#: No unique key: a second effect of a job shows as a second row.
EFFECT_TABLE = (
    "CREATE SCHEMA crash; CREATE TABLE crash.effect (job_id uuid NOT NULL, attempt int NOT NULL);"
    " GRANT USAGE ON SCHEMA crash TO terrafusion_market; GRANT INSERT ON crash.effect TO terrafusion_market"
)
router = JobRouter()


class Parameters(BaseModel):
    """How long the job takes, and whether its worker dies once the job is committed."""

    steps: int = 3
    step_seconds: float = 0.02
    worker_dies: bool = False


@router.job(KIND, parameters=Parameters)
async def work(job: RunningJob, parameters: Parameters) -> None:
    """Take some steps, then leave one row behind."""
    for step in range(parameters.steps):
        await job.progress(step, parameters.steps, "steps")
        await asyncio.sleep(parameters.step_seconds)
        job.check()
    async with job.completing({"steps": parameters.steps}) as unit:
        await unit.connection.execute("INSERT INTO crash.effect VALUES ($1, $2)", job.id, job.attempt)
    if parameters.worker_dies:
        os.kill(os.getpid(), signal.SIGKILL)


async def submit(database: Database, job_id: UUID, parameters: dict[str, Any]) -> None:
    """One unit of work; where the job is known already (its answer was lost) nothing is written."""
    async with database.begin(COUNTY) as unit:
        row = await unit.connection.fetchrow(
            "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by)"
            " VALUES ($1, $2, $3, $4, 'x', 'tester') ON CONFLICT (county, id) DO NOTHING RETURNING *",
            COUNTY,
            job_id,
            KIND,
            parameters,
        )
        if row is not None:
            unit.publish_message(job_requested(row, service="gateway", first=True))


async def submit_lines() -> None:
    """Answer each line, however long the database is away."""
    settings = ServiceSettings()
    database = Database(settings.operational_db_url.get_secret_value(), service="gateway")
    async with running_bus(settings, "gateway", database):
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            submitter_dies = asked.pop("submitter_dies", False)
            if submitter_dies:
                database.publisher = None
            job_id = UUID(asked.pop("id"))
            while True:
                try:
                    await submit(database, job_id, asked)
                except Exception as error:
                    if not is_outage(error):
                        raise
                    await asyncio.sleep(0.05)
                else:
                    break
            if submitter_dies:
                os.kill(os.getpid(), signal.SIGKILL)
            print(job_id, flush=True)  # noqa: T201 the answer


def main() -> None:
    """Run one of the two."""
    if sys.argv[1] == "submitter":
        asyncio.run(submit_lines())
    else:
        service = Service(KIND, router=router, settings=ServiceSettings())
        uvicorn.run(service.app(), port=0, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
