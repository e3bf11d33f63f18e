"""Certifies a run in the transaction that applies it: landed rows counted anew, against what the source counted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from chassis.database import UnitOfWork
from contracts.mapping import SourceTable
from services.ingest.certificate import queries
from services.ingest.certificate.counting import Counted
from services.ingest.certificate.issuing import Findings, Issued, TableFindings, issue, standing_lines
from services.ingest.certificate.landed_side import landed_side
from services.ingest.deciding import Counts
from services.ingest.domain.certificate import (
    Line,
    SourceSide,
    complete_lines,
    counted_identity,
    not_loaded,
    sums_document,
    tally_document,
)
from services.ingest.domain.envelopes import Run
from services.ingest.domain.order import lands_filtered
from services.ingest.domain.tallies import layer_columns, money_columns
from services.ingest.sources.source import Digest

SUMMED_ROWS = 200_000
"""Tables with more landed rows are summed by a complete certificate only."""
Reads = Mapping[str, Mapping[str, Any]]
"""By name, how each table was read, as `reading.TableRead` says it."""


async def certify(
    unit: UnitOfWork,
    run: Run,
    *,
    reads: Reads,
    counts: Mapping[str, Counts],
    rules: str,
    started_at: datetime,
    sides: Mapping[str, SourceSide] | None = None,
) -> Issued | None:
    """Call it last, once everything else of the run is written. With `sides` the certificate is complete.

    A run that changed nothing is not certified: the certificate before it says what there is to say, if it holds.
    """
    if run.mode == "incremental" and not any(count.changes for count in counts.values()):
        last = await queries.read_last(unit.connection, run.county, run.pair.pair)
        if last is not None and last["holds"]:
            return None
    states = await queries.read_table_states(unit.connection, run.county, run.pair.pair)
    standing = standing_lines(run.pair, states, {name: read["rules"] for name, read in reads.items()})
    work = _Certifying(unit, run, reads, counts, sides)
    found = await work.tables(standing)
    findings = Findings("complete" if sides else "counted", found, started_at=started_at, source_seen_at=run.seen_at)
    return await issue(unit, run, findings, rules=rules, mode=run.mode)


class _Certifying:
    """One run's certificate."""

    def __init__(
        self,
        unit: UnitOfWork,
        run: Run,
        reads: Reads,
        counts: Mapping[str, Counts],
        sides: Mapping[str, SourceSide] | None,
    ) -> None:
        self.connection, self.run, self.reads, self.counts = unit.connection, run, reads, counts
        self.sides = sides or {}
        self.known = {name: Counted(**read["counted"]) for name, read in reads.items() if read.get("counted")}

    async def tables(self, standing: dict[str, list[Line]]) -> dict[str, TableFindings]:
        """What is said of every table of the pair."""
        run = self.run
        named = run.pair.table_by_name
        busy = [name for name, counted in self.known.items() if not counted.is_idle and name not in self.sides]
        rows = await queries.count_landed(self.connection, run.county, run.pair.pair, busy, sequence=run.sequence)
        counted = {row["source_table"]: row for row in rows}
        ranges = await queries.read_ranges(self.connection, run.county, run.pair.pair)
        found: dict[str, TableFindings] = {}
        for name, lines in standing.items():
            if name in self.sides:
                found[name] = await self._complete(named[name], lines)
            elif name in counted:
                found[name] = await self._counted(named[name], lines, counted[name], ranges.get(name, []))
            else:
                found[name] = TableFindings([*lines, *self._unread(name)])
        return found

    async def _complete(self, table: SourceTable, lines: list[Line]) -> TableFindings:
        run, theirs = self.run, self.sides[table.name]
        ours = await landed_side(self.connection, run.county, run.pair.pair, table, sequence=run.sequence)
        left_out = lands_filtered(run.pair, table)
        lines = [*lines, *complete_lines(theirs, ours, lands_filtered=left_out, has_ranges=False)]
        return TableFindings(lines, tally_document(theirs.accepted), tally_document(ours.accepted), held=ours.held)

    def _unread(self, name: str) -> list[Line]:
        if name in self.known:
            rows = self.known[name].rows
            return [Line("unchanged", rows, rows, holds=True, note="the source confirmed the digest of every range")]
        return [Line("rows", None, None, holds=None, note="not read as a whole in this run")]

    async def _counted(
        self, table: SourceTable, lines: list[Line], row: queries.Row, ranges: list[queries.Row]
    ) -> TableFindings:
        counted, count = self.known[table.name], self.counts[table.name]
        landed = row["landed"] - row["held"]
        lines = [*lines, *not_loaded(self.run.pair, [self._rows(table, counted, count, row)])]
        if counted.digest is not None and (line := _digest_line(counted, ranges)) is not None:
            lines.append(line)
        document: dict[str, Any] = {"rows": landed}
        if count.changes and landed <= SUMMED_ROWS and (columns := money_columns(table)):
            document["sums"] = await self._sums(table, columns)
        source = {"rows": counted.rows, "digest": counted.digest}
        return TableFindings(lines, source, document, held=row["held"])

    def _rows(self, table: SourceTable, counted: Counted, count: Counts, row: queries.Row) -> Line:
        """Source = landed + quarantined + left out."""
        quarantined, filtered = row["keys"], row["filtered"] if lands_filtered(self.run.pair, table) else None
        why = "nothing stored says how many rows the mapping leaves out of this table"
        is_read_once = self.reads[table.name]["is_whole"] and count.rows_read == counted.rows
        if is_read_once:  # so what was left out is known to the row; by a marker and as a whole it counts twice
            quarantined, filtered = count.rows_quarantined, count.rows_filtered
        elif filtered is None and not counted.may_leave_out:
            filtered = 0
        line = counted_identity(
            counted.rows, row["landed"] - row["held"], quarantined=quarantined, filtered=filtered, why_not=why
        )
        if line.holds is not False:
            return line
        if row["vague"]:
            note = f"{row['vague']} keys in quarantine are empty or repeated, and stand for any number of rows"
            return replace(line, holds=None, note=note)
        return line if counted.is_one_moment else replace(line, holds=None, note="rows may have changed meanwhile")

    async def _sums(self, table: SourceTable, columns: list[str]) -> dict[str, dict[str, str]]:
        run = self.run
        rows = await queries.sum_landed(
            self.connection, run.county, run.pair.pair, table.name, columns=columns, layer=layer_columns(table),
            sequence=run.sequence,
        )  # fmt: skip
        sums: dict[tuple[str, tuple[str, str]], Decimal] = {
            (name, (row["year"], row["supplement"])): row[f"s{number}"]
            for row in rows
            for number, name in enumerate(columns)
            if row[f"s{number}"] is not None
        }
        return sums_document(sums)


def _digest_line(counted: Counted, ranges: list[queries.Row]) -> Line | None:
    """Whether the ranges that are known add up to the whole table, as the source has it."""
    digests = [row["digest"] for row in ranges if row["number"] >= 0]
    if not digests or None in digests:
        return None
    total = str(sum((Digest.parse(digest) for digest in digests), Digest()))
    if total == counted.digest:
        return Line("ranges", counted.digest, total, holds=True)
    if not counted.is_one_moment:
        return Line("ranges", counted.digest, total, holds=None, note="rows may have changed meanwhile")
    return Line("ranges", counted.digest, total, holds=False, note="the ranges do not add up to the table")
