"""The limit that job submission is measured against: FastAPI, one statement, two rows, nothing else."""

import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel, Field

STATEMENT = (
    "WITH asked AS ("
    " INSERT INTO chassis.job (county, id, kind, priority, parameters, request_digest, requested_by)"
    " VALUES ($1, $2, $3, $4, $5::text::jsonb, '', 'bare') RETURNING id"
    ") INSERT INTO chassis.outbox (id, county, subject, headers, body)"
    " SELECT id, $1, $6, $7::text::jsonb, $8 FROM asked"
)


class Run(BaseModel):
    """The body of a run."""

    county: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: str = "normal"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["TERRAFUSION_OPERATIONAL_DB_URL"], min_size=8, max_size=8) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)


@app.post("/run", status_code=202)
async def run(body: Run) -> dict[str, Any]:
    """Write the two rows."""
    job_id = uuid.uuid4()
    await app.state.pool.execute(
        STATEMENT,
        body.county,
        job_id,
        "market",
        body.priority,
        json.dumps(body.parameters),
        f"job.market.requested.{body.county}",
        json.dumps({"Nats-Msg-Id": str(job_id)}),
        json.dumps({"job_id": str(job_id), "county": body.county, "parameters": body.parameters}),
    )
    return {"id": job_id, "status": "queued"}
