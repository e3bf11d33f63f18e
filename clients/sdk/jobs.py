"""`terrafusion jobs …`: ask for jobs and follow them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from clients.sdk.client import TerraFusion
from clients.sdk.connection import gateway, refuse
from clients.sdk.output import console, listing
from contracts.api.jobs import Job
from contracts.subjects import JobKind

jobs_app = typer.Typer(name="jobs", help="Jobs: run, list, show, cancel, retry, results.", no_args_is_help=True)
_COLUMNS = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


@jobs_app.command("run")
def jobs_run(
    kind: Annotated[str, typer.Argument(help="valuation, market, reporting, gis_export or sync.")],
    county: Annotated[str, typer.Option(help="The county's name.")],
    *,
    parameters: Annotated[str, typer.Option(help="The kind's parameters as JSON.")] = "{}",
    key: Annotated[str | None, typer.Option(help="Idempotency key: asking twice gives the same job.")] = None,
    watch: Annotated[bool, typer.Option(help="Show a progress bar until the job has ended.")] = False,
) -> None:
    """Ask for a job."""
    if kind.replace("-", "_") not in set(JobKind):
        refuse(f"{kind!r} is no kind of job: {', '.join(JobKind)}")
    with gateway() as client:
        job = client.run(kind, county, to_parameters(parameters), idempotency_key=key)
        show(watch_job(client, job) if watch else job)


@jobs_app.command("list")
def jobs_list(
    *,
    county: Annotated[str | None, typer.Option(help="Only this county's.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """List jobs, newest first."""
    filters = {"county": county, "kind": kind, "status": status, "limit": str(min(limit, 100))}
    table = listing("id", "kind", "county", "status", "progress", "created", "by", whole=["id"])
    with gateway() as client:
        for number, job in enumerate(client.jobs(**{name: value for name, value in filters.items() if value})):
            if number == limit:
                break
            done = f"{job.progress.done}/{job.progress.total or '?'} {job.progress.unit}" if job.progress.unit else ""
            created = job.created_at.isoformat(timespec="seconds")
            table.add_row(str(job.id), job.kind, job.county, job.status, done, created, job.requested_by)
    console.print(table)


@jobs_app.command("show")
def jobs_show(job_id: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """Show a job."""
    with gateway() as client:
        show(client.job(job_id))


@jobs_app.command("cancel")
def jobs_cancel(job_id: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """Ask a job to stop."""
    with gateway() as client:
        show(client.cancel(job_id))


@jobs_app.command("retry")
def jobs_retry(job_id: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """Start a failed or cancelled job again."""
    with gateway() as client:
        show(client.retry(job_id))


@jobs_app.command("results")
def jobs_results(
    job_id: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    save: Annotated[Path | None, typer.Option(help="Also save the artifacts in this folder.")] = None,
) -> None:
    """Print what a job has to show."""
    with gateway() as client:
        console.print_json(client.results(job_id).model_dump_json())
        if save is not None:
            _save(client, client.job(job_id), save)


def _save(client: TerraFusion, job: Job, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for artifact in job.artifacts:
            print(client.download(job, artifact.name, folder / artifact.name))
    except OSError as error:
        refuse(f"{folder} cannot be written: {error.strerror}")


def watch_job(client: TerraFusion, job: Job) -> Job:
    """Show a progress bar until the job has ended well."""
    with Progress(*_COLUMNS, console=console) as progress:
        task = progress.add_task(f"{job.kind} {job.status}", total=None)

        def update(now: Job) -> None:
            told = now.progress
            progress.update(
                task, description=f"{now.kind} {now.status} {told.message}", completed=told.done, total=told.total
            )

        return client.wait(job, on_progress=update)


def to_parameters(text: str) -> dict[str, Any]:
    """Parameters from the command line."""
    try:
        value = json.loads(text)
    except ValueError as error:
        refuse(f"--parameters is no JSON: {error}")
    if not isinstance(value, dict):
        refuse("--parameters is no JSON object")
    return value


def show(job: Job) -> None:
    """Print a job as the gateway gives it."""
    console.print_json(job.model_dump_json())
