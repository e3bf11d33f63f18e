"""The open run of a pair: begun anew, or taken up where a killed one left it."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from chassis.database import Connection
from chassis.errors import PermanentError, TransientError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.county import County
from contracts.mapping import Pair, SourceTable
from services.ingest import pair_queries
from services.ingest.domain.envelopes import Run
from services.ingest.leases import Lease
from services.ingest.settings import has_codes, personal_key


@dataclass(frozen=True, slots=True)
class Seen:
    """What the source says of itself before its rows are read."""

    database: str
    at: datetime
    working_year: int
    certified_year: int | None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run under way, and what was known of the pair before it."""

    run: Run
    rules: str
    started_at: datetime
    past_rules: str | None
    past_year: int | None
    known: dict[str, pair_queries.Row]
    is_resumed: bool = False


def rules_digest(pair: Pair, county: County) -> str:
    """What the record is made by: where the mapping or the county file changed, everything is built anew."""
    elsewhere = {"following", "reader", "value_file"}
    together = pair.together.rules if pair.role == "primary" else ""
    of_county = county.model_dump_json(exclude={"sale_scrutiny"})
    return _digest(pair.model_dump_json(exclude=elsewhere) + of_county + together)


def table_rules(pair: Pair, table: SourceTable, *, working_year: int) -> str:
    """What a table's rows are landed by, the key of personal codes too: where it changed, it is read as a whole.

    The year is part of it where so many years are read: no marker tells of rows that were written before theirs began.
    """
    scope = pair.table_by_name[pair.scope] if pair.scope else None
    key = personal_key() if has_codes(table) else None
    year = str(working_year) if table.years else ""
    described = table.model_dump_json(exclude={"reader"}), scope.model_dump_json() if scope else ""
    return _digest("".join((*described, key.id if key else "", year)))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


async def require_free(job: RunningJob, pair: Pair) -> None:
    """Refuse to read while a person's word is awaited.

    Raises:
        PermanentError: `pair_paused`, `approval_required`.
    """
    async with job.database.read(job.county) as connection:
        known = await pair_queries.read_pair(connection, job.county, pair.pair)
        run = await pair_queries.read_run(connection, job.county, pair.pair)
    status = known["status"] if known else "active"
    if status == "paused":
        raise PermanentError("pair_paused", f"{pair.pair} is paused until somebody resumes it")
    if status == "held":
        approval = run["details"].get("approval_id") if run else None
        raise PermanentError(
            "approval_required", f"{pair.pair} waits for a person's decision", details={"approval_id": approval}
        )


async def open_run(job: RunningJob, pair: Pair, parameters: SyncParameters, lease: Lease, seen: Seen) -> OpenRun:
    """Go on with the open run where mode, tables, rules and year are the same, else begin another.

    Raises:
        PermanentError: `tables_not_loaded`.
    """
    county, name = job.county, pair.pair
    rules = rules_digest(pair, job.county_file)
    asked = parameters.model_dump(mode="json", include={"mode", "tables", "where", "keys"})
    async with job.database.begin(county) as unit:
        await lease.hold(unit)
        connection = unit.connection
        known = await pair_queries.read_pair(connection, county, name)
        assert known is not None
        if known["sequence"] == 0 and parameters.tables and set(parameters.tables) != set(pair.table_by_name):
            raise PermanentError("tables_not_loaded", f"synchronise the whole pair {name} before single tables")
        sequence = known["sequence"] + 1
        open_row = await pair_queries.read_run(connection, county, name)
        fits = open_row is not None and (
            (open_row["rules"], open_row["working_year"], open_row["sequence"], open_row["details"].get("asked"))
            == (rules, seen.working_year, sequence, asked)
        )
        if fits and open_row is not None:  # unlogged tables do not outlive a crash of their server
            fits = await pair_queries.has_stage(connection, county, name, run_id=open_row["id"])
        if open_row is not None and not fits:
            await pair_queries.end_run(connection, county, name, sequence=sequence)
        if not fits:
            details = {"asked": asked, "database": seen.database, "certified_year": seen.certified_year}
            values = {
                "id": job.id,
                "sequence": sequence,
                "mode": parameters.mode,
                "rules": rules,
                "working_year": seen.working_year,
                "phase": "reading",
                "seen_at": seen.at,
                "details": details,
            }
            await pair_queries.end_run(connection, county, name, sequence=sequence)
            await pair_queries.open_run(connection, county, name, values=values)
            await pair_queries.mark_stage(connection, county, name, run_id=job.id)
            open_row = await pair_queries.read_run(connection, county, name)
        assert open_row is not None
        tables = await pair_queries.read_tables(connection, county, name)
    return _opened(job, pair, open_row, known=known, tables=tables, is_resumed=fits)


async def require_stage(connection: Connection, run: Run) -> None:
    """Refuse to go on with half of what was read.

    Raises:
        TransientError: `stage_lost`: the server crashed since the run began; the next attempt reads it all again.
    """
    if not await pair_queries.has_stage(connection, run.county, run.pair.pair, run_id=run.run_id):
        raise TransientError("stage_lost", f"the operational database lost what was staged of {run.pair.pair}")


async def held_run(job: RunningJob, pair: Pair, approval_id: UUID) -> OpenRun:
    """The run that waits for an approval.

    Raises:
        PermanentError: `approval_outdated`: it is not there any more.
    """
    async with job.database.read(job.county) as connection:
        known = await pair_queries.read_pair(connection, job.county, pair.pair)
        open_row = await pair_queries.read_run(connection, job.county, pair.pair)
        tables = await pair_queries.read_tables(connection, job.county, pair.pair)
        staged = open_row is not None and await pair_queries.read_staged_batches(
            connection, job.county, pair.pair, run_id=open_row["id"]
        )
    is_same = open_row is not None and open_row["details"].get("approval_id") == str(approval_id)
    if known is None or open_row is None or not is_same or not staged:
        raise PermanentError("approval_outdated", "what was to be approved is not there any more: run the pair again")
    if open_row["rules"] != rules_digest(pair, job.county_file):
        raise PermanentError("approval_outdated", "the mapping changed since: reject the run and run the pair again")
    return _opened(job, pair, open_row, known=known, tables=tables, is_resumed=True)


def _opened(job: RunningJob, pair: Pair, row: Any, *, known: Any, tables: Any, is_resumed: bool) -> OpenRun:
    run = Run(
        county=job.county,
        pair=pair,
        database=row["details"]["database"],
        sequence=row["sequence"],
        seen_at=row["seen_at"],
        operation_id=job.id,
        run_id=row["id"],
        working_year=row["working_year"],
        certified_year=row["details"]["certified_year"],
        mode=row["mode"],
    )
    return OpenRun(run, row["rules"], row["started_at"], known["rules"], known["working_year"], tables, is_resumed)
