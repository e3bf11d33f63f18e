"""Answers `query.ingest.signal.<county>`: a downstream system steers a pair; its signal becomes a job."""

import asyncio

from faststream.nats import NatsMessage

from chassis.service import Service
from chassis.service_requests import request_job
from contracts.api.sync_state import BusSignal, SignalAccepted
from contracts.subjects import JobKind
from services.ingest.mappings import load_pair

SUBJECT = "query.ingest.signal.*"
#: who a signal's job is asked for by: the bus tells nobody who has published, its accounts say who may
BY = "bus"


def subscribe(service: Service) -> None:
    """Hear the signals of every county; of several workers one answers."""

    async def answer(signal: BusSignal, message: NatsMessage) -> SignalAccepted:
        return await accept(service, message.raw_message.subject.rpartition(".")[2], signal)

    service.broker.subscriber(
        SUBJECT,
        queue="ingest",
        title="signal to a pair",
        description="BusSignal in, SignalAccepted or a problem {code, detail} in reply",
    )(answer)


async def accept(service: Service, county: str, signal: BusSignal) -> SignalAccepted:
    """Ask for the signal's job.

    Raises:
        NotFoundError: `county_unknown` or `pair_unknown`.
        PermanentError: `mapping_invalid`.
        ConflictError: `idempotency_key_reused`.
    """
    await asyncio.to_thread(load_pair, service.settings.counties_dir, county, signal.pair)
    parameters = signal.model_dump(mode="json", exclude_unset=True, exclude={"idempotency_key"})
    async with service.database.begin(county) as unit:
        row = await request_job(unit, JobKind.SYNC, parameters, by=BY, key=signal.idempotency_key)
    return SignalAccepted(
        job_id=row["id"],
        county=county,
        parameters=row["parameters"],
        status=row["status"],
        href=f"/api/v1/jobs/{row['id']}",
    )
