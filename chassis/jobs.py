"""A job in the hands of a worker: claim, heartbeat, progress, cancel, deadline, retry, one ending."""

import asyncio
import contextlib
import logging
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import asyncpg
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

from chassis import queries
from chassis.counties import load_county
from chassis.database import Connection, Database, UnitOfWork
from chassis.errors import JobStoppedError, TerraFusionError
from chassis.outages import is_outage
from chassis.outbox import derived_id
from chassis.storage import Storage
from contracts.api.jobs import Artifact, JobError
from contracts.county import County
from contracts.events.jobs import JobEvent, JobProgressed, JobSucceeded
from contracts.subjects import JobKind

log = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Handler = Callable[["RunningJob", Any], Awaitable[None]]
PROGRESS_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True)
class JobDefinition:
    """A kind of job, what it may be asked with, and who does it."""

    kind: JobKind
    parameters: type[BaseModel]
    handler: Handler


class JobRouter:
    """Collects a room's job handlers; the service turns each into a FastStream subscriber."""

    def __init__(self) -> None:
        self.definitions: list[JobDefinition] = []

    def job(self, kind: str, *, parameters: type[BaseModel]) -> Callable[[Handler], Handler]:
        """Register the handler of a kind."""

        def register(handler: Handler) -> Handler:
            self.definitions.append(JobDefinition(JobKind(kind), parameters, handler))
            return handler

        return register


@dataclass
class Tools:
    """What a running job works with."""

    database: Database
    storage: Storage
    counties_dir: Path
    service: str


@dataclass
class RunningJob:
    """One attempt at one job. Whatever it writes is fenced by its attempt: a late worker changes nothing."""

    tools: Tools
    id: UUID
    county: str
    kind: JobKind
    attempt: int
    requested_by: str
    deadline: datetime | None
    failures: int = 0
    artifacts: list[Artifact] = field(default_factory=list)
    completed: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    stop_reason: tuple[str, str] = ("job_cancelled", "the job was cancelled")
    _reported: int = 0
    _reported_at: float = 0.0

    @property
    def database(self) -> Database:
        """The operational database, as this service's role."""
        return self.tools.database

    @property
    def county_file(self) -> County:
        """The county's configuration."""
        return load_county(self.tools.counties_dir, self.county)

    def ask_to_stop(self, code: str, message: str) -> None:
        """Let the next `check` stop the job; the first reason stands."""
        if not self.stop.is_set():
            self.stop_reason = (code, message)
            self.stop.set()

    def check(self) -> None:
        """Stop here when the job was cancelled, is past its deadline or was taken over; usable from any thread.

        Raises:
            JobStoppedError: with the reason.
        """
        if self.deadline is not None and datetime.now(UTC) >= self.deadline:
            self.ask_to_stop("deadline_exceeded", "the job was not done by its deadline")
        if self.stop.is_set():
            raise JobStoppedError(*self.stop_reason)

    async def compute(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a pure function in a thread, so that heartbeats go on; stops after it where the job should."""
        self.check()
        result = await asyncio.to_thread(partial(function, *args, **kwargs))
        self.check()
        return result

    async def progress(self, done: int, total: int | None, unit: str, message: str = "") -> None:
        """Say how far the job is: at once at the start and the end, else at most twice a second."""
        self.check()
        now = time.monotonic()
        if self._reported and done != total and now - self._reported_at < PROGRESS_INTERVAL_SECONDS:
            return
        self._reported, self._reported_at = self._reported + 1, now
        told = {"done": done, "total": total, "unit": unit, "message": message}
        async with self.database.begin(self.county) as unit_of_work:
            kept = await queries.save_progress(
                unit_of_work.connection, self.county, self.id, attempt=self.attempt, progress=told
            )
            if not kept:
                raise JobStoppedError("job_taken_over", "another worker has the job")
            await self.say(unit_of_work, JobProgressed, number=self._reported, **told)

    async def store(self, name: str, content: Path | bytes, *, media_type: str) -> Artifact:
        """Put a file into object storage; it becomes the job's artifact when the job completes."""
        self.check()
        artifact = await self.tools.storage.put(
            self.county, self.id, attempt=self.attempt, name=name, content=content, media_type=media_type
        )
        self.artifacts.append(artifact)
        return artifact

    @asynccontextmanager
    async def completing(self, result: dict[str, Any]) -> AsyncIterator[UnitOfWork]:
        """The job's last unit of work: the caller's rows, its events and the success, all or nothing.

        Raises:
            JobStoppedError: the job was cancelled or taken over meanwhile; nothing was written.
        """
        self.check()
        async with self.database.begin(self.county) as unit:
            yield unit
            await self.say(unit, JobSucceeded, result=result, artifacts=tuple(self.artifacts))
            ended = await queries.succeed_job(
                unit.connection,
                self.county,
                self.id,
                attempt=self.attempt,
                result=result,
                artifacts=[artifact.model_dump(mode="json") for artifact in self.artifacts],
                messages=unit.messages,
            )
            if not ended:
                raise JobStoppedError("job_cancelled", "the job was cancelled or taken over before it could end")
            unit.stored = len(unit.messages)
        self.completed = True

    async def say(self, work: UnitOfWork, event: type[JobEvent], *, number: int = 0, **facts: Any) -> None:
        """Publish one of the job's facts; its id is derived, so a repetition is recognised."""
        fact = event(
            county=self.county,
            occurred_at=datetime.now(UTC),
            job_id=self.id,
            kind=self.kind,
            attempt=self.attempt,
            **facts,
        )
        await work.publish(fact, event_id=str(fact_id(fact, number)))


def fact_id(fact: JobEvent, number: int = 0) -> UUID:
    """The id of a job's fact: the same fact of the same attempt always has the same."""
    return derived_id(fact.job_id, f"{fact.fact}:{fact.attempt}:{number}")


def running_job(row: asyncpg.Record, tools: Tools) -> RunningJob:
    """The job of a claimed row."""
    return RunningJob(
        tools=tools,
        id=row["id"],
        county=row["county"],
        kind=JobKind(row["kind"]),
        attempt=row["attempt"],
        requested_by=row["requested_by"],
        deadline=row["deadline"],
        failures=row["failures"],
    )


def to_error(error: BaseException) -> JobError:
    """What a job's record says of an exception: coded where we raised it, without inner details where not."""
    if isinstance(error, TerraFusionError):
        return JobError(code=error.code, message=error.message, details=error.details)
    if isinstance(error, JobStoppedError):
        return JobError(code=error.code, message=error.message)
    if is_outage(error):
        return JobError(code="dependency_unavailable", message=f"{type(error).__name__} while the job ran")
    return JobError(code="internal_error", message=f"{type(error).__name__} in the job's handler")


def mark_failed(error: BaseException) -> None:
    """Let the trace show the failure: its type and code, not its text, which may hold a row's values."""
    span = trace.get_current_span()
    span.set_attribute("exception.type", type(error).__name__)
    span.set_status(StatusCode.ERROR, to_error(error).code)


def frames(error: BaseException) -> list[str]:
    """Where an exception came from, without its text."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


async def cancel_and_wait(task: "asyncio.Task[Any]") -> None:
    """End a task of ours and wait until it has."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


__all__ = [
    "Connection",
    "JobDefinition",
    "JobRouter",
    "RunningJob",
    "Tools",
]
