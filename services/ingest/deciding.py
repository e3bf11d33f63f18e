"""Decides whether what was staged may be applied: brakes hold what is hardly meant until a person says yes."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, NoReturn
from uuid import UUID, uuid5

from chassis.errors import PermanentError
from chassis.jobs import RunningJob
from contracts.events.ingest import SyncBrakeApplied
from contracts.following import Brake
from services.ingest import pair_queries
from services.ingest.domain.envelopes import event_id
from services.ingest.leases import Lease
from services.ingest.record import telling
from services.ingest.runs import OpenRun

Reason = Literal["empty_read", "mass_delete", "mass_change"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run does to a table's rows; those that the mapping leaves out are not among them."""

    landed: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    rows_read: int = 0
    rows_quarantined: int = 0
    rows_filtered: int = 0
    rows_compared: int = 0

    @property
    def changes(self) -> int:
        """How many rows are otherwise."""
        return self.created + self.updated + self.deleted

    def told(self) -> dict[str, int]:
        """As an operation's result has them: read = applied + unchanged + quarantined + filtered."""
        read, applied = self.rows_read + self.rows_compared, self.created + self.updated
        return {
            "rows_read": read,
            "rows_applied": applied,
            "rows_unchanged": read - applied - self.rows_quarantined - self.rows_filtered,
            "rows_quarantined": self.rows_quarantined,
            "rows_filtered": self.rows_filtered,
            "changes": self.changes,
        }


@dataclass(frozen=True, slots=True)
class Braked:
    """A table that a brake holds, and why."""

    table: str
    reason: Reason
    landed: int
    deleted: int
    updated: int


def braked(counts: dict[str, Counts], brake: Brake) -> list[Braked]:
    """Tables of which more would go or change than both limits of the brake allow, or that were read empty."""
    found = []
    for table, count in counts.items():
        reason = _reason(count, brake)
        if reason is not None:
            found.append(Braked(table, reason, count.landed, count.deleted, count.updated))
    return found


def _reason(count: Counts, brake: Brake) -> Reason | None:
    if not count.landed:
        return None
    if count.deleted >= count.landed and not count.created and not count.rows_read and not count.rows_compared:
        return "empty_read"
    if count.deleted > max(brake.deleted_rows, brake.deleted_share * count.landed):
        return "mass_delete"
    if count.updated > max(brake.changed_rows, brake.changed_share * count.landed):
        return "mass_change"
    return None


async def decide(job: RunningJob, lease: Lease, opened: OpenRun, counts: dict[str, Counts], chosen: set[str]) -> None:
    """Let the run go on, or stop it.

    An empty read is refused, and never waits for a yes, but where an operator named the table.

    Raises:
        PermanentError: `empty_read`, `approval_required`.
    """
    held = braked(counts, opened.run.pair.following.brake)
    empty = [found for found in held if found.reason == "empty_read" and found.table not in chosen]
    if empty:
        await _refuse(job, lease, opened, empty)
    if held:
        await _hold(job, lease, opened, held)


async def _refuse(job: RunningJob, lease: Lease, opened: OpenRun, empty: list[Braked]) -> NoReturn:
    run, names = opened.run, [found.table for found in empty]
    async with job.database.begin(job.county) as unit:
        await lease.hold(unit)
        fact = SyncBrakeApplied(**telling.about(run), reason="empty_read", source_tables=tuple(names))
        await unit.publish(fact, event_id=str(event_id(run, "brake", str(job.id))))
        await pair_queries.end_run(unit.connection, job.county, run.pair.pair, sequence=run.sequence)
    raise PermanentError(
        "empty_read",
        f"{', '.join(names)} had rows and was read empty: nothing was applied",
        details={"tables": names},
    )


async def _hold(job: RunningJob, lease: Lease, opened: OpenRun, held: list[Braked]) -> NoReturn:
    run = opened.run
    approval_id: UUID = uuid5(run.run_id, f"approval:{run.sequence}")
    names = tuple(found.table for found in held)
    details: dict[str, Any] = {"tables": [asdict(found) for found in held], "run_id": str(run.run_id)}
    async with job.database.begin(job.county) as unit:
        await lease.hold(unit)
        await pair_queries.ask_approval(
            unit.connection, job.county, run.pair.pair, approval_id, operation_id=job.id, reason=held[0].reason,
            details=details,
        )  # fmt: skip
        fact = SyncBrakeApplied(
            **telling.about(run), reason=held[0].reason, source_tables=names, approval_id=approval_id,
            rows_deleted=sum(found.deleted for found in held), rows_changed=sum(found.updated for found in held),
        )  # fmt: skip
        await unit.publish(fact, event_id=str(event_id(run, "brake", str(job.id))))
    raise PermanentError(
        "approval_required",
        f"so much of {', '.join(names)} would go or change that a person has to say yes",
        details={"approval_id": str(approval_id), **details},
    )
