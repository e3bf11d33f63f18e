"""Mode `verify`: reads source, landed rows and record as a whole, compares them and certifies; nothing is applied."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import polars as pl

from chassis.database import Connection
from chassis.errors import PermanentError, TransientError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair, SourceTable, WorkingYear
from services.ingest import runs
from services.ingest.certificate import queries
from services.ingest.certificate.issuing import Findings, TableFindings, issue, shown_keys, standing_lines
from services.ingest.certificate.landed_side import landed_contents, landed_side
from services.ingest.certificate.record_side import RecordComparison, RecordSide
from services.ingest.certificate.source_side import SourceTableReading, stretches
from services.ingest.domain.certificate import (
    SHOWN_DIFFERENCES,
    LandedSide,
    Line,
    SourceSide,
    complete_lines,
    not_loaded,
    tally_document,
)
from services.ingest.domain.checks import Known
from services.ingest.domain.envelopes import Run
from services.ingest.domain.order import lands_filtered, reading_order
from services.ingest.domain.preflight import differences
from services.ingest.domain.tallies import BUCKETS
from services.ingest.landing.intake import Loop
from services.ingest.landing.known import load_known
from services.ingest.leases import leased
from services.ingest.operation.gentle import GentleSource
from services.ingest.operation.pace import pace_of
from services.ingest.reading import refuse
from services.ingest.settings import source_url
from services.ingest.sources.opening import open_source

LOOKED_AT_ROWS = 50_000
"""So many rows of each side are held at once when the keys that differ are looked for."""
BATCH_PARCELS = 2_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the pair is, and by what it was landed."""

    sequence: int
    working_year: int
    certified_year: int | None
    rules: str
    today: date
    """The day of the last run, in the county: rows are judged by it."""
    states: Mapping[str, queries.Row]
    ranges: Mapping[str, list[queries.Row]]


async def verify(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """The job succeeds whether the certificate holds or not; its result says.

    Raises:
        PermanentError: `tables_not_loaded`, `table_unknown`, `mapping_…`, and as sources.
        TransientError: `pair_busy`, and as sources.
    """
    started = time.monotonic()
    if unknown := sorted(set(parameters.tables or ()) - set(pair.table_by_name)):
        raise PermanentError("table_unknown", f"the pair {pair.pair} has no tables {unknown}")
    async with leased(job, pair):
        standing = await _standing(job, pair)
        chosen = [table for table in reading_order(pair, list(pair.tables))
                  if parameters.tables is None or table.name in parameters.tables]  # fmt: skip
        verification = Verification(job, pair, standing, Loop(asyncio.get_running_loop()))
        await job.compute(verification.work, chosen)
        await job.progress(len(chosen), len(chosen) + 1, "tables", "comparing the record")
        await verification.compare_record()
        await _complete(job, verification, started=started)


async def _complete(job: RunningJob, verification: "Verification", *, started: float) -> None:
    findings, standing = verification.findings, verification.standing
    result: dict[str, Any] = {"pair": verification.pair.pair, "mode": "verify"}
    async with job.completing(result) as unit:
        now = await queries.read_standing(unit.connection, job.county, verification.pair.pair)
        if now is None or now["sequence"] != standing.sequence:
            raise TransientError("pair_busy", f"an operation of {verification.pair.pair} was applied meanwhile")
        issued = await issue(unit, verification.run, findings, rules=standing.rules, mode="verify")
        result |= issued.told()
        result["keys"] = {name: found.differences for name, found in findings.tables.items() if found.differences}
        result["record"] = findings.record_differences
        result["seconds"] = round(time.monotonic() - started, 3)


async def _standing(job: RunningJob, pair: Pair) -> Standing:
    async with job.database.read(job.county) as connection:
        row = await queries.read_standing(connection, job.county, pair.pair)
        if row is None or row["sequence"] == 0 or row["working_year"] is None:
            raise PermanentError("tables_not_loaded", f"{pair.pair} was never synchronised: there is nothing to verify")
        zone = ZoneInfo(job.county_file.time_zone)
        return Standing(
            sequence=row["sequence"],
            working_year=row["working_year"],
            certified_year=await _landed_year(connection, job.county, pair, pair.certified_year),
            rules=row["rules"] or "",
            today=(row["last_synchronized_at"] or datetime.now(UTC)).astimezone(zone).date(),
            states=await queries.read_table_states(connection, job.county, pair.pair),
            ranges=await queries.read_ranges(connection, job.county, pair.pair),
        )


async def _landed_year(connection: Connection, county: str, pair: Pair, year: WorkingYear | None) -> int | None:
    """The year that a landed table of one row says: the record was built by that one."""
    if year is None or year.year is not None:
        return year.year if year else None
    table, _, column = (year.column or "").partition(".")
    try:
        found = await queries.read_values(connection, county, pair.pair, table, column=column)
        return int(found[0]) if len(found) == 1 else None
    except (asyncpg.DataError, ValueError):  # a damaged image: the table's own lines say so
        return None


@dataclass
class Verification:
    """One comparison of everything; `work` runs in a thread, and has the loop ask the database."""

    job: RunningJob
    pair: Pair
    standing: Standing
    loop: Loop
    findings: Findings = field(default_factory=lambda: Findings("complete", {}))

    def work(self, tables: list[SourceTable]) -> None:
        """Compare the tables."""
        job, pair = self.job, self.pair
        with open_source(pair, source_url(pair.pair)) as raw:
            source = GentleSource(raw, county=job.county, pair=pair.pair, pace=pace_of(job, pair.following))
            found = differences(pair, source.catalog())
            self.findings.source_seen_at = source.now()
            self.run = self._run(source.database)
            year = self.standing.working_year
            rules = {table.name: runs.table_rules(pair, table, working_year=year) for table in tables}
            standing = standing_lines(pair, self.standing.states, rules)
            drifted = {difference.table for difference in found}
            if drifted >= set(pair.table_by_name):
                refuse(pair, found, found)
            for number, table in enumerate(tables):
                job.check()
                told = job.progress(number, len(tables) + 1, "tables", f"verifying {table.name}")
                self.loop.do(told)
                self.findings.tables[table.name] = self._table(source, table, standing[table.name], drifted)
            is_same = self.standing.rules == runs.rules_digest(pair, job.county_file)
            note = "" if is_same else "the mapping or the county's file changed since the last run"
            self.findings.others.append(Line("rules", None, self.standing.rules, holds=is_same, note=note))

    def _run(self, database: str) -> Run:
        assert self.findings.source_seen_at is not None
        standing = self.standing
        return Run(
            self.job.county, self.pair, database, standing.sequence, self.findings.source_seen_at,
            operation_id=self.job.id, run_id=uuid4(), working_year=standing.working_year, mode="verify",
            certified_year=standing.certified_year,
        )  # fmt: skip

    def _table(self, source: GentleSource, table: SourceTable, lines: list[Line], drifted: set[str]) -> TableFindings:
        if table.name in drifted:
            unread = Line(
                "columns", None, None, holds=False, note="the source has not the columns that the mapping names"
            )
            return TableFindings([*lines, unread])
        try:
            return self._compared(source, table, lines)
        except (
            asyncpg.DataError,
            pl.exceptions.ComputeError,
        ):  # an image that rows are judged by; its own table says which
            return TableFindings([*lines, _unreadable("images")])

    def _compared(self, source: GentleSource, table: SourceTable, lines: list[Line]) -> TableFindings:
        reading = self._reading(source, table)
        theirs, ours = reading.work(), self.loop.do(self._landed(table))
        has_ranges = reading.stretches is not None
        both = complete_lines(theirs, ours, lands_filtered=reading.lands_filtered, has_ranges=has_ranges)
        lines += not_loaded(self.pair, both)
        if self.standing.ranges.get(table.name) and not has_ranges:
            lines.append(Line("ranges", None, None, holds=False, note="the ranges leave gaps or overlap"))
        found = TableFindings(lines, _said(theirs), _stored(ours), held=ours.held)
        if theirs.accepted.content != ours.accepted.content:
            found.differences = self._differences(reading, theirs, ours)
        return found

    def _reading(self, source: GentleSource, table: SourceTable) -> SourceTableReading:
        known: list[Known] = []

        def look_up() -> Known:
            if not known:
                known.append(self.loop.do(self._known(table)))
            return known[0]

        ranges = [(row["number"], _key(row["lower"]), _key(row["upper"]))
                  for row in self.standing.ranges.get(table.name, [])]  # fmt: skip
        return SourceTableReading(
            self.pair, table, source, look_up, self.standing.today,
            years=tuple(self.standing.working_year - back for back in range(table.years or 0)),
            stretches=stretches(ranges), lands_filtered=lands_filtered(self.pair, table),
        )  # fmt: skip

    async def _known(self, table: SourceTable) -> Known:
        """By what rows are judged: what is landed of other tables. A loss there shows in those tables themselves."""
        async with self.job.database.read(self.job.county) as connection:
            return await load_known(connection, self.job.county, self.pair, table, run_id=self.run.run_id)

    async def _landed(self, table: SourceTable) -> LandedSide:
        async with self.job.database.read(self.job.county) as connection:
            return await landed_side(
                connection, self.job.county, self.pair.pair, table, sequence=self.standing.sequence
            )

    async def _contents(self, table: SourceTable, buckets: list[int]) -> dict[str, str]:
        async with self.job.database.read(self.job.county) as connection:
            return await landed_contents(
                connection, self.job.county, self.pair.pair, table, sequence=self.standing.sequence, buckets=buckets
            )

    def _differences(self, reading: SourceTableReading, theirs: SourceSide, ours: LandedSide) -> list[dict[str, Any]]:
        """The first keys that differ: both sides are read once more, and only what may differ is held."""
        table = reading.table
        rows = max(theirs.accepted.rows, ours.accepted.rows, 1)
        most = max(1, LOOKED_AT_ROWS * BUCKETS // rows)
        buckets = theirs.accepted.differing_buckets(ours.accepted)[:most]
        left, right = reading.contents(buckets), self.loop.do(self._contents(table, buckets))
        found = list(_differing(left, right))[:SHOWN_DIFFERENCES]
        shown = shown_keys(self.pair, table.name, [key for key, _ in found])
        return [{"key": key, "what": what} for key, (_, what) in zip(shown, found, strict=True)]

    async def compare_record(self) -> None:
        """The record against the landed rows."""
        if self.pair.role != "primary":
            note = f"the rows of a {self.pair.role} pair are no record by themselves"
            self.findings.others.append(Line("record", None, None, holds=None, note=note))
            return
        try:
            record = await self._record()
        except (asyncpg.DataError, pl.exceptions.ComputeError):
            self.findings.others.append(_unreadable("record"))
            return
        self.findings.others += record.lines()
        self.findings.record_differences = record.shown

    async def _record(self) -> RecordSide:
        async with self.job.database.begin(self.job.county) as unit:
            comparison = RecordComparison(unit, self.run, self.job.county_file, tells=False, batch_rows=BATCH_PARCELS)
            return await comparison.compare()


def _unreadable(name: str) -> Line:
    return Line(name, None, None, holds=False, note="an image that it needs is damaged: nothing more can be told")


def _differing(source: dict[str, str], landed: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key in sorted(source.keys() | landed.keys()):
        if key not in landed:
            yield key, "missing"
        elif key not in source:
            yield key, "unexplained"
        elif source[key] != landed[key]:
            yield key, "different"


def _said(side: SourceSide) -> dict[str, Any]:
    return {
        **tally_document(side.accepted),
        "rows_read": side.rows_read,
        "rows_quarantined": side.rows_quarantined,
        "rows_filtered": side.rows_filtered,
        "quarantine": str(side.quarantine),
    }


def _stored(side: LandedSide) -> dict[str, Any]:
    return {**tally_document(side.accepted), "quarantine": str(side.quarantine), "left_out": str(side.filtered)}


def _key(parts: list[str | None] | None) -> tuple[str | None, ...] | None:
    return None if parts is None else tuple(parts)
