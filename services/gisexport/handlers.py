"""What the gisexport service does when it is asked."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from contracts.api.gis_export import GisExportParameters, GisExportReceipt
from services.gisexport import queries
from services.gisexport.domain.plan import ExportPlan, plan_export
from services.gisexport.domain.receipt import to_summary
from services.gisexport.domain.refusal import ExportRefusedError
from services.gisexport.domain.size import check_size
from services.gisexport.streaming import iterate_in_thread, until_ended
from services.gisexport.writers import RECEIPT_NAME, write_export

router = JobRouter()
BATCH_ROWS = 16_000


@router.job("gis_export", parameters=GisExportParameters)
async def export_layer(job: RunningJob, parameters: GisExportParameters) -> None:
    """Write parcels or sales as GIS files, with a receipt of everything that was changed on the way."""
    county = job.county_file
    with _coded_refusals(), tempfile.TemporaryDirectory(prefix="gisexport-", ignore_cleanup_errors=True) as work:
        folder = Path(work) / "export"
        plan = plan_export(parameters, county.gis_export, county=job.county, county_crs=f"EPSG:{county.epsg}")
        receipt = await _write_files(job, plan, folder, epsg=county.epsg)
        for file in receipt.files:
            await job.store(file.name, folder / file.name, media_type=file.media_type)
        await job.store(RECEIPT_NAME, folder / RECEIPT_NAME, media_type="application/json")
    async with job.completing(result=to_summary(receipt)) as unit:
        await queries.save_export_run(
            unit.connection,
            job.county,
            job.id,
            parameters=parameters.model_dump(mode="json"),
            receipt=receipt.model_dump(mode="json"),
        )


async def _write_files(job: RunningJob, plan: ExportPlan, folder: Path, *, epsg: int) -> GisExportReceipt:
    async with job.database.read(job.county) as connection:
        content = await queries.read_content(connection, job.county, plan, epsg=epsg)
        if content.rows_in_other_crs:
            message = f"{content.rows_in_other_crs} parcels have a geometry that is not in EPSG:{epsg}"
            raise ExportRefusedError("geometry_crs_differs", message, details={"rows": content.rows_in_other_crs})
        check_size(plan, content.size)
        records = queries.read_records(connection, job.county, plan, batch_rows=BATCH_ROWS)
        batches = iterate_in_thread(_with_progress(job, records, content.size.rows), asyncio.get_running_loop())
        return await until_ended(job.compute(write_export, batches, plan, folder))


async def _with_progress(job: RunningJob, batches: AsyncIterator[Any], total: int) -> AsyncIterator[Any]:
    """Pass the batches on; between them the job says how far it is, and stops where it was asked to."""
    done = 0
    await job.progress(done, total, "rows", "writing")
    async for batch in batches:
        yield batch
        done += len(batch)
        await job.progress(done, total, "rows", "writing")


@contextmanager
def _coded_refusals() -> Iterator[None]:
    try:
        yield
    except ExportRefusedError as refused:
        raise PermanentError(refused.code, refused.message, details=refused.details) from refused
