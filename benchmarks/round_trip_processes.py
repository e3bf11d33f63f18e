"""The processes that `job_round_trip` compares: a worker of the chassis, and a bare gateway with a bare worker.

The bare pair does the least that still stores a job, its states and its events: no row-level security, no fencing,
no lease, no retry, no trace, no outbox for the worker's events.
"""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import nats
import uvicorn
from fastapi import FastAPI
from faststream import AckPolicy, ContextRepo
from faststream.asgi import AsgiFastStream
from faststream.nats import JStream, NatsBroker, PullSub
from pydantic import BaseModel, Field

from chassis.jobs import JobRouter, RunningJob
from chassis.service import Service
from chassis.settings import ServiceSettings
from contracts.api.market import MarketParameters

BARE_STREAM = "BARE"
WORKERS = 4  # jobs that a worker process runs at the same time, in both
ASK = (
    "WITH asked AS ("
    " INSERT INTO chassis.job (county, id, kind, priority, parameters, request_digest, requested_by)"
    " VALUES ($1, $2, $3, $4, $5::text::jsonb, '', 'bare') RETURNING id"
    ") INSERT INTO chassis.outbox (id, county, subject, headers, body)"
    " SELECT id, $1, $6, $7::text::jsonb, $8 FROM asked"
)


def chassis_worker() -> Any:
    """An empty job in the chassis."""
    router = JobRouter()

    @router.job("market", parameters=MarketParameters)
    async def nothing(job: RunningJob, parameters: MarketParameters) -> None:
        """Do nothing and succeed."""
        async with job.completing({}):
            pass

    return Service("market", router=router, settings=ServiceSettings(job_workers=WORKERS)).app()


class Run(BaseModel):
    """The body of a run."""

    county: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: str = "normal"


class Requested(BaseModel):
    """The command that the bare gateway publishes."""

    job_id: uuid.UUID
    county: str
    parameters: dict[str, Any]


def bare_gateway() -> FastAPI:
    """One statement, then the command in the background."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = await nats.connect(os.environ["TERRAFUSION_NATS_URL"])
        async with asyncpg.create_pool(os.environ["BARE_DB_URL"], min_size=8, max_size=8) as pool:
            app.state.pool, app.state.jetstream, app.state.tasks = pool, client.jetstream(), set()
            yield
        await client.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/run", status_code=202)
    async def run(body: Run) -> dict[str, Any]:
        """Write the two rows and publish."""
        job_id = uuid.uuid4()
        subject = f"bare.requested.{body.county}"
        headers = {"Nats-Msg-Id": str(job_id), "content-type": "application/json"}
        message = json.dumps({"job_id": str(job_id), "county": body.county, "parameters": body.parameters})
        await app.state.pool.execute(
            ASK, body.county, job_id, "market", body.priority, json.dumps(body.parameters), subject,
            json.dumps(headers), message,
        )  # fmt: skip
        task = asyncio.create_task(app.state.jetstream.publish(subject, message.encode(), headers=headers))
        app.state.tasks.add(task)
        task.add_done_callback(app.state.tasks.discard)
        return {"id": job_id, "status": "queued"}

    return app


def bare_worker() -> Any:
    """Two updates, two events, one delete."""
    broker = NatsBroker(os.environ["TERRAFUSION_NATS_URL"], logger=None)
    pools: list[Any] = []

    @broker.subscriber(
        "bare.requested.*",
        stream=JStream(BARE_STREAM, declare=False),
        durable="bare",
        pull_sub=PullSub(batch_size=1, timeout=5),
        max_workers=WORKERS,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        no_reply=True,
    )
    async def work(asked: Requested) -> None:
        """Do nothing and succeed."""
        (pool,) = pools
        job = str(asked.job_id)
        await pool.execute(
            "UPDATE chassis.job SET status = 'running', attempt = 1, started_at = now() WHERE county = $1 AND id = $2",
            asked.county,
            asked.job_id,
        )
        await tell("started", asked.county, job)
        await pool.execute(
            "UPDATE chassis.job SET status = 'succeeded', result = '{}', finished_at = now()"
            " WHERE county = $1 AND id = $2",
            asked.county,
            asked.job_id,
        )
        await tell("succeeded", asked.county, job)
        await pool.execute("DELETE FROM chassis.outbox WHERE id = $1", asked.job_id)

    async def tell(fact: str, county: str, job: str) -> None:
        headers = {"Nats-Msg-Id": f"{job}:{fact}"}
        await broker.publish({"job_id": job}, f"bare.{fact}.{county}", stream=BARE_STREAM, headers=headers, timeout=5)

    @asynccontextmanager
    async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
        async with asyncpg.create_pool(os.environ["BARE_DB_URL"], min_size=WORKERS, max_size=8) as pool:
            pools.append(pool)
            yield

    return AsgiFastStream(broker, lifespan=lifespan, logger=None)


def main() -> None:
    """Serve the named process on a port: `python -m benchmarks.round_trip_processes bare_gateway 5000`."""
    name, port = sys.argv[1], int(sys.argv[2])
    build = {"chassis_worker": chassis_worker, "bare_gateway": bare_gateway, "bare_worker": bare_worker}[name]
    uvicorn.run(build(), host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
