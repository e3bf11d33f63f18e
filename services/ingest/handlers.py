"""Hears synchronisation jobs."""

from chassis.jobs import JobRouter, RunningJob
from contracts.api.sync import SyncParameters
from services.ingest.mappings import load_pair
from services.ingest.operation.admission import admit, leave_out, watched
from services.ingest.synchronize import synchronize

router = JobRouter()


@router.job("sync", parameters=SyncParameters)
async def run_synchronization(job: RunningJob, parameters: SyncParameters) -> None:
    """Follows a legacy system: reads it, applies what differs to the record, tells what changed."""
    pair = load_pair(job.tools.counties_dir, job.county, parameters.pair)
    if (reason := await admit(job, pair, parameters.mode)) is not None:
        await leave_out(job, pair, reason)
        return
    async with watched(job, pair, parameters.mode):
        await synchronize(job, pair, parameters)
