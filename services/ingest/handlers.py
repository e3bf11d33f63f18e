"""Hears synchronisation jobs."""

from chassis.jobs import JobRouter, RunningJob
from contracts.api.sync import SyncParameters
from services.ingest.mappings import load_pair
from services.ingest.synchronize import synchronize

router = JobRouter()


@router.job("sync", parameters=SyncParameters)
async def run_synchronization(job: RunningJob, parameters: SyncParameters) -> None:
    """Follows a legacy system: reads it, applies what differs to the record, tells what changed."""
    pair = load_pair(job.tools.counties_dir, job.county, parameters.pair)
    await synchronize(job, pair, parameters)
