"""What the reporting service does when it is asked."""

from chassis.jobs import JobRouter, RunningJob
from contracts.api.reporting import ReportingParameters
from services.reporting import queries
from services.reporting.composing import compose, context_of, read_report_data
from services.reporting.domain.document import definition_hash
from services.reporting.rendering import render

router = JobRouter()


@router.job("reporting", parameters=ReportingParameters)
async def make_report(job: RunningJob, parameters: ReportingParameters) -> None:
    """Read the record, compute the report, lay it out in the format asked for and store the files."""
    await job.progress(0, 3, "steps", "reading the record")
    async with job.database.read(job.county) as connection:
        data = await read_report_data(connection, job.county_file, parameters.arguments)
    arguments = parameters.arguments.model_dump(mode="json")
    definition = definition_hash(parameters.report, arguments)
    await job.progress(1, 3, "steps", "computing")
    context = context_of(job.county_file, definition, data.watermark)
    document = await job.compute(compose, data, parameters.arguments, context)
    await job.progress(2, 3, "steps", "laying out")
    rendered = await job.compute(render, document, parameters.format)
    for file in rendered.files:
        await job.store(file.name, file.content, media_type=file.media_type)
    pages = {} if rendered.pages is None else {"pages": rendered.pages}
    asked = {"report": parameters.report, "format": parameters.format, "definition_hash": definition}
    summary = {**asked, **pages, **document.summary}
    async with job.completing(result=summary) as unit:
        await queries.save_report_run(
            unit.connection,
            job.county,
            job.id,
            report=parameters.report,
            report_format=parameters.format,
            arguments=arguments,
            definition_hash=definition,
            watermark=data.recorded_watermark(),
            summary=summary,
        )
