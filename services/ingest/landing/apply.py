"""Applies a run in one transaction: landed rows, quarantine, record, what is told, ledger, and the job's success."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.database import UnitOfWork
from chassis.errors import TransientError
from chassis.jobs import RunningJob
from contracts.events.ingest import SyncCompleted
from services.ingest import pair_queries
from services.ingest.certificate.certifying import certify
from services.ingest.deciding import Counts
from services.ingest.domain.certificate import SourceSide
from services.ingest.domain.envelopes import event_id
from services.ingest.landing.merge import merge, settle_quarantine
from services.ingest.leases import Lease
from services.ingest.record import canonical, telling
from services.ingest.runs import OpenRun, require_stage

Tables = Mapping[str, Mapping[str, Any]]
"""By name, how each table was read, as `reading.TableRead` says it."""


async def apply(
    job: RunningJob,
    lease: Lease,
    opened: OpenRun,
    *,
    tables: Tables,
    counts: dict[str, Counts],
    started: float,
    approval_id: UUID | None = None,
    sides: Mapping[str, SourceSide] | None = None,
) -> None:
    """All of the run or nothing; the job succeeds with it, and the approval that it had to have is given.

    Raises:
        TransientError: `pair_busy`: another run was applied meanwhile.
    """
    result: dict[str, Any] = {}
    async with job.completing(result) as unit:
        await lease.hold(unit)
        result |= await _Applying(job, unit, opened, tables, counts=counts, sides=sides).work()
        if approval_id is not None:
            await pair_queries.decide_approval(
                unit.connection, job.county, approval_id, status="approved", by=job.requested_by
            )
        result["seconds"] = round(time.monotonic() - started, 3)


class _Applying:
    """One run's end."""

    def __init__(
        self,
        job: RunningJob,
        unit: UnitOfWork,
        opened: OpenRun,
        tables: Tables,
        *,
        counts: dict[str, Counts],
        sides: Mapping[str, SourceSide] | None,
    ) -> None:
        self.sides = sides
        self.job, self.unit, self.opened = job, unit, opened
        self.run, self.connection = opened.run, unit.connection
        self.county, self.pair = job.county, opened.run.pair
        self.tables, self.counts = tables, counts

    async def work(self) -> dict[str, Any]:
        run = self.run
        known = await pair_queries.read_pair(self.connection, self.county, self.pair.pair)
        if known is None or known["sequence"] + 1 != run.sequence:
            raise TransientError("pair_busy", f"another operation of {self.pair.pair} was applied meanwhile")
        await require_stage(self.connection, run)
        await merge(self.connection, run)
        whole = [name for name, read in self.tables.items() if read["is_whole"]]
        await settle_quarantine(self.connection, run, whole=whole)
        await self._save_tables()
        renewed = await canonical.renew(
            self.unit, run, is_whole=self._is_whole(), county_file=self.job.county_file, tells=run.sequence > 1
        )
        told = await telling.tell_rows(self.unit, run, self._told())
        result = self._result(renewed, told)
        if not result["changes"] and not result["events"]:
            await telling.tell_heartbeat(self.unit, run)
        await self._complete(result)
        return result

    def _is_whole(self) -> bool:
        """Whether the record is built anew: by a full run, other rules or another year, or tables never seen."""
        opened = self.opened
        is_first = any(read["is_first"] for read in self.tables.values())
        return (
            self.run.mode == "full"
            or is_first
            or opened.rules != opened.past_rules
            or self.run.working_year != opened.past_year
        )

    def _told(self) -> list[telling.Told]:
        named = self.pair.table_by_name
        return [
            telling.Told(
                named[name], read["reader"], is_first=read["is_first"], is_log=read["is_log"], token=read.get("token")
            )
            for name, read in self.tables.items()
        ]

    async def _save_tables(self) -> None:
        """Ranges, tokens and counts of every table that was read to its end."""
        batches = await pair_queries.read_staged_batches(
            self.connection, self.county, self.pair.pair, run_id=self.run.run_id
        )
        still: list[str] = []
        for name, read in self.tables.items():
            mine = [batch for batch in batches if batch["source_table"] == name]
            if ranges := [found for batch in mine for found in batch["ranges"]]:
                is_anew = any(batch["position"].get("plan") == "load" for batch in mine)
                await pair_queries.save_ranges(
                    self.connection, self.county, self.pair.pair, source_table=name, ranges=ranges, is_anew=is_anew
                )
            values, past = self._known_of(name, read, mine), self.opened.known.get(name)
            verified = values.pop("verified_through", None)
            if past is not None and all(past[column] == value for column, value in values.items()):
                still += [name] if verified else []
                continue
            values |= {"verified_through": verified} if verified else {}
            await pair_queries.save_table(self.connection, self.county, self.pair.pair, name, values=values)
        await pair_queries.set_verified(
            self.connection, self.county, self.pair.pair, source_tables=still, through=self.run.seen_at
        )

    def _known_of(self, name: str, read: Mapping[str, Any], batches: list[Any]) -> dict[str, Any]:
        """What is known of a table from now on."""
        counts, past = self.counts[name], self.opened.known.get(name)
        token = next((batch["token"] for batch in reversed(batches) if batch["token"] is not None), None)
        values: dict[str, Any] = {
            "reader": read["reader"],
            "content": read["content"],
            "rules": read["rules"],
            "columns": read["columns"],
            "blind_spots": read["blind_spots"],
            "status": "active",
            "stopped_code": None,
            "stopped_message": None,
        }
        if _is_verified(read, batches):
            values["verified_through"] = self.run.seen_at
        if counts.changes or past is None:
            landed = counts.landed if past is not None else 0
            values["rows"] = landed + counts.created - counts.deleted
        if token is not None:
            values |= {"token": token, "token_at": datetime.fromisoformat(read["read_at"])}
        elif past is not None and past["reader"] != read["reader"]:
            values["token"] = None
        return values

    def _result(self, renewed: canonical.Renewed, told: int) -> dict[str, Any]:
        tables = {name: self.counts[name].told() | {"reader": self.tables[name]["reader"]} for name in self.tables}
        names = ("rows_read", "rows_applied", "rows_unchanged", "rows_quarantined", "rows_filtered", "changes")
        readers = {read["reader"] for read in self.tables.values()}
        return {
            "pair": self.pair.pair,
            "mode": self.run.mode,
            "reader": readers.pop() if len(readers) == 1 else "several",
            **{name: sum(counts[name] for counts in tables.values()) for name in names},
            "events": renewed.facts + told,
            "facts": renewed.facts,
            "certified_changes": renewed.certified_changes,
            "parcels": renewed.parcels,
            "sales": renewed.sales,
            "conflicts": renewed.conflicts,
            "contributions": renewed.contributions,
            "unmatched": renewed.unmatched,
            "tables": tables,
        }

    async def _complete(self, result: dict[str, Any]) -> None:
        run = self.run
        counts = {name: result[name] for name in SyncCompleted.model_fields if name in result}
        completed = SyncCompleted(**{**telling.about(run), **counts})
        await self.unit.publish(completed, event_id=str(event_id(run, "completed")))
        await pair_queries.save_operation(
            self.connection, self.county, run.operation_id, pair=self.pair.pair, sequence=run.sequence,
            rules=self.opened.rules, working_year=run.working_year, started_at=self.opened.started_at,
            result=result | {"tables": self._entered(result["tables"])},
        )  # fmt: skip
        issued = await certify(
            self.unit, run, reads=self.tables, counts=self.counts, rules=self.opened.rules,
            started_at=self.opened.started_at, sides=self.sides,
        )  # fmt: skip
        result["certificate"] = issued.told() if issued else None
        result["is_idle"] = run.mode == "incremental" and not (result["changes"] or result["events"] or issued)
        await pair_queries.end_run(self.connection, self.county, self.pair.pair, sequence=None)

    def _entered(self, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Tables as the ledger has them: with the tokens that an undoing of the run puts back, where there were any."""
        known = self.opened.known
        return {
            name: {**counts, "token_before": known[name]["token"]} if name in known else dict(counts)
            for name, counts in tables.items()
        }


def _is_verified(read: Mapping[str, Any], batches: list[Any]) -> bool:
    """Whether every column of every row was read or compared by its digest, beyond what the table's reader sees."""
    is_compared = read["content"] == "row" and not read["is_chosen"] and bool(batches or read["rows_idle"])
    return bool(read["is_whole"]) or is_compared
