"""Hears synchronisation jobs."""

from chassis.jobs import JobRouter, RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair
from services.ingest.certificate.verifying import verify
from services.ingest.mappings import load_pair
from services.ingest.operation.admission import admit, leave_out, watched
from services.ingest.reconciling import compare
from services.ingest.record.undo import undo
from services.ingest.resolving import resolve
from services.ingest.steering import steer
from services.ingest.synchronize import approve, reject, synchronize

router = JobRouter()


@router.job("sync", parameters=SyncParameters)
async def run_synchronization(job: RunningJob, parameters: SyncParameters) -> None:
    """Follows a legacy system: reads it, applies what differs to the record, tells what changed."""
    pair = load_pair(job.tools.counties_dir, job.county, parameters.pair)
    if (reason := await admit(job, pair, parameters.mode)) is not None:
        await leave_out(job, pair, reason)
        return
    async with watched(job, pair, parameters.mode):
        await _do(job, pair, parameters)


async def _do(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    match parameters.mode:
        case "approve":
            await approve(job, pair, parameters)
        case "reject":
            await reject(job, pair, parameters)
        case "resolve":
            await resolve(job, pair, parameters)
        case "compare":
            await compare(job, pair, parameters)
        case "undo":
            await undo(job, pair, parameters)
        case "verify":
            await verify(job, pair, parameters)
        case "pause" | "resume" | "stop":
            await steer(job, pair, parameters)
        case _:
            await synchronize(job, pair, parameters)
