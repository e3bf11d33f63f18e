"""Runs a kind's jobs as they are delivered: exactly one ending, however often a message comes."""

import asyncio
import contextlib
import logging
import os
import platform
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from pydantic import ValidationError

from chassis import queries
from chassis.database import UnitOfWork
from chassis.errors import JobStoppedError, PermanentError, PostponedError
from chassis.jobs import (
    JobDefinition,
    RunningJob,
    Tools,
    cancel_and_wait,
    fact_id,
    frames,
    mark_failed,
    running_job,
    to_error,
)
from chassis.logs import current_job
from chassis.middleware import RetryLaterError
from chassis.outbox import OutboxMessage, derived_id, to_json, to_message
from chassis.settings import ServiceSettings
from chassis.telemetry import DEAD_LETTERS, JOB_SECONDS, JOBS_FAILED
from contracts.api.jobs import JobError
from contracts.events.chassis import DeadLettered
from contracts.events.jobs import JobCancelled, JobFailed, JobRequested, JobStarted
from contracts.subjects import JobFact, job_subject

log = logging.getLogger(__name__)
OUTRANKED_WAIT_SECONDS = 0.5  # a job that could start now lets more urgent ones go first


class Worker:
    """Runs the jobs of one kind in one process."""

    def __init__(self, definition: JobDefinition, tools: Tools, settings: ServiceSettings) -> None:
        self.definition = definition
        self.tools = tools
        self.settings = settings
        self.name = f"{tools.service}@{platform.node()}:{os.getpid()}"
        self.running: dict[UUID, RunningJob] = {}
        self.leaving: set[asyncio.Task[None]] = set()

    async def receive(self, requested: JobRequested) -> None:
        """Do the job that a message asks for, unless it is done or in other hands."""
        token = current_job.set(str(requested.job_id))
        try:
            job, parameters = await self._claim(requested)
            if job is not None:
                await self._run(job, parameters)
        finally:
            current_job.reset(token)

    def cancel(self, job_id: UUID) -> None:
        """Ask a job that runs here to stop."""
        if job := self.running.get(job_id):
            job.ask_to_stop("job_cancelled", "the job was cancelled")

    async def _claim(self, requested: JobRequested) -> tuple[RunningJob | None, dict[str, Any]]:
        started = self._started(requested)
        async with self.tools.database.begin(requested.county) as unit:
            row = await queries.claim_job(
                unit.connection,
                requested.county,
                requested.job_id,
                owner=self.name,
                lease=self.settings.job_lease,
                attempt=requested.attempt + 1,
                failures_allowed=self.settings.job_attempts,
                started=started,
            )
            if row is None:
                await self._leave(unit, requested)
                return None, {}
            job = running_job(row, self.tools)
            if job.failures >= self.settings.job_attempts:
                await self._give_up(unit, job)
                return None, {}
            if row["told"]:
                unit.publish_message(started)
                unit.stored = 1
            else:
                await job.say(unit, JobStarted)
        return job, row["parameters"]

    def _started(self, requested: JobRequested) -> OutboxMessage:
        """What the claim will tell of, unless the job has been started since it was asked for."""
        fact = JobStarted(
            county=requested.county,
            occurred_at=datetime.now(UTC),
            job_id=requested.job_id,
            kind=requested.kind,
            attempt=requested.attempt + 1,
        )
        return to_message(fact, service=self.tools.service, event_id=str(fact_id(fact)))

    async def _give_up(self, unit: UnitOfWork, job: RunningJob) -> None:
        """A job whose workers die again and again is not started for ever."""
        error = JobError(code="worker_lost", message=f"its worker ended without a word; starts: {job.failures}")
        await self._write_failure(unit, job, error)

    async def _leave(self, unit: UnitOfWork, requested: JobRequested) -> None:
        """A job that cannot be claimed: ended (nothing to do), waiting, in other hands, or abandoned."""
        found = await queries.read_claim(unit.connection, requested.county, requested.job_id)
        if found is None:
            raise PermanentError("job_unknown", f"there is no job {requested.job_id} in {requested.county}")
        lease_seconds = self.settings.job_lease.total_seconds()
        if found["status"] == "queued":
            raise RetryLaterError(found["wait_seconds"] or OUTRANKED_WAIT_SECONDS)
        silent_seconds = lease_seconds if found["silent_seconds"] is None else found["silent_seconds"]
        if found["status"] == "cancelling" and silent_seconds >= lease_seconds:
            await self._end_cancelled(unit, requested, found["attempt"])
        elif found["status"] in {"running", "cancelling"}:
            raise RetryLaterError(max(lease_seconds - silent_seconds, 0.05) + 0.05)

    async def _end_cancelled(self, unit: UnitOfWork, requested: JobRequested, attempt: int) -> None:
        row = await queries.read_job(unit.connection, requested.county, requested.job_id)
        assert row is not None
        job = running_job(row, self.tools)
        await queries.end_job(unit.connection, job.county, job.id, attempt=attempt, status="cancelled", error=None)
        await job.say(unit, JobCancelled)

    async def _run(self, job: RunningJob, parameters: dict[str, Any]) -> None:
        started = time.monotonic()
        self.running[job.id] = job
        work = asyncio.ensure_future(self._work(job, parameters))
        beat = asyncio.create_task(self._beat(job, work))
        status = "retried"
        try:
            await asyncio.shield(work)
            status = "succeeded"
        except asyncio.CancelledError:
            self._leave_behind(job, work)
            raise
        except Exception as error:  # noqa: BLE001 whatever went wrong, the job must end or wait
            status = await self._failed(job, error)
        finally:
            await cancel_and_wait(beat)
            self.running.pop(job.id, None)
            JOB_SECONDS[job.kind].labels(job.county, status).observe(time.monotonic() - started)

    async def _work(self, job: RunningJob, parameters: dict[str, Any]) -> None:
        try:
            validated = self.definition.parameters.model_validate(parameters)
        except ValidationError as error:
            problems = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
            raise PermanentError(
                "parameters_invalid", "the job's parameters are not valid", details={"errors": problems}
            ) from error
        job.check()
        try:
            await self.definition.handler(job, validated)
        except asyncio.CancelledError as error:
            job.check()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RuntimeError("a task inside the handler was cancelled") from error
        if not job.completed:
            raise PermanentError("job_incomplete", f"the {job.kind} handler ended without completing the job")

    async def _beat(self, job: RunningJob, work: "asyncio.Future[None]") -> None:
        """Keep the lease; learn of a cancellation, a deadline or another owner."""
        interval = self.settings.job_lease.total_seconds() / 4
        while True:
            await asyncio.sleep(interval)
            try:
                async with self.tools.database.begin(job.county) as unit:
                    row = await queries.beat(unit.connection, job.county, job.id, attempt=job.attempt)
                    found = row or await queries.read_claim(unit.connection, job.county, job.id)
            except Exception as error:  # noqa: BLE001 a missed beat is no reason to stop; the next may get through
                log.warning("no heartbeat", extra={"reason": type(error).__name__})
                continue
            if row is None and found is not None and (found["status"], found["attempt"]) == ("succeeded", job.attempt):
                return  # the attempt has committed its end and is about to learn of it
            if row is None and not work.done() and not job.completed:
                job.ask_to_stop("job_taken_over", "another worker has the job")
                work.cancel()
            elif row is not None and row["status"] == "cancelling":
                job.ask_to_stop("job_cancelled", "the job was cancelled")
            elif row is not None and row["expired"]:
                job.ask_to_stop("deadline_exceeded", "the job was not done by its deadline")

    async def _failed(self, job: RunningJob, error: Exception) -> str:
        """End the job or let it wait for another start; returns the status for the metrics."""
        if job.completed:
            log.warning("an error after the job had ended", extra={"reason": type(error).__name__})
            return "succeeded"
        if isinstance(error, JobStoppedError) and error.code == "job_taken_over":
            raise RetryLaterError(self.settings.job_lease.total_seconds())  # our message must outlive the new owner
        if isinstance(error, JobStoppedError) and error.code == "job_cancelled":
            await self._end(job, "cancelled", None)
            return "cancelled"
        if isinstance(error, PostponedError):
            log.info("job waits", extra={"code": error.code, "seconds": round(error.wait_seconds)})
            await self._wait(job, to_error(error), timedelta(seconds=max(error.wait_seconds, 0)), is_failure=False)
        mark_failed(error)
        known = to_error(error)
        final = isinstance(error, (PermanentError, JobStoppedError)) or job.failures + 1 >= self.settings.job_attempts
        log.log(
            logging.ERROR if final else logging.WARNING,
            "job attempt failed",
            extra={
                "code": known.code,
                "attempt": job.attempt,
                "error_type": type(error).__name__,
                "frames": frames(error) if known.code == "internal_error" else [],
            },
        )
        if not final:
            await self._retry(job, known)
        await self._end(job, "failed", known)
        return "failed"

    async def _retry(self, job: RunningJob, error: JobError) -> NoReturn:
        """Queue the job again and ask for the message after the same wait."""
        wait = self.settings.job_retry_delay * 2 ** min(job.failures, 16)
        wait = min(wait, timedelta(minutes=10)) * (0.8 + 0.4 * (job.id.int % 1000) / 1000)
        await self._wait(job, error, wait, is_failure=True)

    async def _wait(self, job: RunningJob, error: JobError, wait: timedelta, *, is_failure: bool) -> NoReturn:
        async with self.tools.database.begin(job.county) as unit:
            kept = await queries.requeue_job(
                unit.connection,
                job.county,
                job.id,
                attempt=job.attempt,
                wait=wait,
                error=error.model_dump(mode="json"),
                is_failure=is_failure,
            )
        if kept:
            raise RetryLaterError(wait.total_seconds())
        raise RetryLaterError(0.1)  # cancelled at this moment: the next delivery ends it

    async def _end(self, job: RunningJob, status: str, error: JobError | None) -> None:
        async with self.tools.database.begin(job.county) as unit:
            if error is not None:
                await self._write_failure(unit, job, error)
                return
            ended = await queries.end_job(
                unit.connection, job.county, job.id, attempt=job.attempt, status=status, error=None
            )
            if ended:
                await job.say(unit, JobCancelled)

    async def _write_failure(self, unit: UnitOfWork, job: RunningJob, error: JobError) -> None:
        """End the job as failed, with its event and its dead letter; nothing where it is no longer ours."""
        ended = await queries.end_job(
            unit.connection,
            job.county,
            job.id,
            attempt=job.attempt,
            status="failed",
            error=error.model_dump(mode="json"),
        )
        if not ended:
            return
        await job.say(unit, JobFailed, error=error)
        letter_id = derived_id(job.id, f"dead_letter:{job.attempt}")
        await unit.publish(self._dead_letter(job, error), event_id=str(letter_id))
        JOBS_FAILED[job.kind].labels(job.county, error.code).inc()
        DEAD_LETTERS.labels(self.tools.service, error.code).inc()

    def _dead_letter(self, job: RunningJob, error: JobError) -> DeadLettered:
        body = {"job_id": str(job.id), "county": job.county, "kind": job.kind.value}
        return DeadLettered(
            county=job.county,
            occurred_at=datetime.now(UTC),
            service=self.tools.service,
            original_subject=job_subject(job.kind, JobFact.REQUESTED, job.county),
            original_body=to_json(body),
            code=error.code,
            reason=error.message,
            deliveries=job.attempt,
            job_id=job.id,
            details=error.details,
        )

    def _leave_behind(self, job: RunningJob, work: "asyncio.Future[None]") -> None:
        """The process is asked to end: hand the job back, in a task that the cancellation does not reach."""
        job.ask_to_stop("job_taken_over", "the worker is shutting down")
        work.cancel()
        task = asyncio.create_task(self._hand_back(job, work))
        self.leaving.add(task)
        task.add_done_callback(self.leaving.discard)

    async def _hand_back(self, job: RunningJob, work: "asyncio.Future[None]") -> None:
        """Queue the job again, so that another worker has it at once."""
        await asyncio.wait({work})
        if job.completed:
            return
        with contextlib.suppress(Exception):
            async with self.tools.database.begin(job.county) as unit:
                await queries.requeue_job(unit.connection, job.county, job.id, attempt=job.attempt, wait=timedelta(0))
