"""Ends a conflict of systems by a person's choice."""

from datetime import UTC, datetime
from typing import Any

from chassis.errors import ConflictError, NotFoundError, PermanentError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair
from services.ingest import pair_queries
from services.ingest.domain.contributions import PARCEL
from services.ingest.domain.envelopes import Run
from services.ingest.record import contributing
from services.ingest.record import contribution_queries as queries


async def resolve(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """The chosen pair's value stands until one of the systems says something else.

    Raises:
        NotFoundError: `conflict_unknown`.
        ConflictError: `conflict_resolved`.
        PermanentError: `choice_unknown`.
    """
    assert parameters.conflict_id is not None
    result: dict[str, Any] = {"pair": pair.pair, "mode": "resolve", "conflict_id": str(parameters.conflict_id)}
    async with job.completing(result) as unit:
        connection, county = unit.connection, job.county
        await contributing.wait_for_others(connection, county)
        row = await queries.lock_conflict(connection, county, parameters.conflict_id)
        if row is None:
            raise NotFoundError("conflict_unknown", f"{county} has no conflict of that id")
        if row["status"] != "open":
            raise ConflictError("conflict_resolved", "the conflict is resolved already")
        pairs = [candidate["pair"] for candidate in row["candidates"]]
        if parameters.choice is None or parameters.choice not in pairs:
            raise PermanentError(
                "choice_unknown", f"{parameters.choice!r} has no value in it", details={"pairs": pairs}
            )
        await queries.decide_conflict(
            connection, county, parameters.conflict_id, choice=parameters.choice, by=job.requested_by
        )
        known = await pair_queries.read_pair(connection, county, pair.pair)
        run = Run(
            county, pair, "", known["sequence"] if known else 0, datetime.now(UTC), job.id, job.id, mode="resolve"
        )
        parcel = row["entity_id"] if row["entity"] == PARCEL else row["entity_id"].rpartition("/")[0]
        parts = ("resolve", str(parameters.conflict_id))
        renewed = await contributing.renew_one(unit, run, job.county_file, parcel, parts=parts)
        result |= {"entity": row["entity"], "field": row["field"], "choice": parameters.choice, "events": renewed.facts}
