"""Reads a pair's source into the stage: what it is, what of it has drifted, then table by table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from chassis.errors import PermanentError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair, SourceTable, WorkingYear
from services.ingest import pair_queries, runs
from services.ingest.certificate.counting import can_be_read_again, count_source, read_source_again
from services.ingest.domain.certificate import SourceSide
from services.ingest.domain.checks import Known, references
from services.ingest.domain.drift import drifts, saved, unmapped
from services.ingest.domain.order import dependants, needed_tables
from services.ingest.domain.preflight import MappingDifference, differences
from services.ingest.domain.rows import normalise
from services.ingest.landing import known, queries
from services.ingest.landing.intake import Held, Intake, Loop
from services.ingest.landing.queries import Place
from services.ingest.landing.stage import Stage, TableStage
from services.ingest.leases import Lease
from services.ingest.noticing import Noticing
from services.ingest.operation.gentle import GentleSource
from services.ingest.operation.pace import pace_of
from services.ingest.readers.batch import Range, TableState
from services.ingest.readers.choosing import Choice, choose
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.idle import changed_tables
from services.ingest.readers.reading import Mode, read_table
from services.ingest.runs import OpenRun, Seen
from services.ingest.settings import require_personal_key, source_url
from services.ingest.sources.opening import open_source
from services.ingest.sources.source import Bounds, Catalog, Digest, Key, SourceFacts

OUTSIDE_RULES = ("row_unreadable",)
"""Rules that a row may meet by and by without being changed, beside those that look at other tables or the date."""
SMALL_SOURCES = ("files", "feature_service")
"""Sources that have to be looked through as a whole for a single key."""


@dataclass(slots=True)
class TableRead:
    """How a table was read in a run; kept with the open run until it is applied."""

    name: str
    reader: str
    content: str
    is_first: bool
    is_whole: bool = False
    is_log: bool = False
    is_chosen: bool = False
    """Whether an operator named it, which is a yes to reading it empty, once approved."""
    columns: dict[str, Any] = field(default_factory=dict)
    rules: str = ""
    blind_spots: list[str] = field(default_factory=list)
    read_at: str = ""
    rows_idle: int = 0
    """Rows of a table that one question to the source found as it was."""
    counted: dict[str, Any] | None = None
    """How many rows the source counts, for the certificate; null where only some rows were asked for."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Reading:
    """One reading of a pair's source, in a thread; what it writes the event loop does."""

    def __init__(self, job: RunningJob, pair: Pair, parameters: SyncParameters, *, lease: Lease, loop: Loop) -> None:
        self.job, self.pair, self.parameters = job, pair, parameters
        self.lease, self.loop = lease, loop
        self.county = job.county
        self.today = datetime.now(ZoneInfo(job.county_file.time_zone)).date()
        self.reads: dict[str, TableRead] = {}
        self.sides: dict[str, SourceSide] = {}
        """Of a full run the source's side of every table, for a complete certificate."""

    def work(self) -> OpenRun:
        """Read everything that is asked for.

        Raises:
            PermanentError: `table_unknown`, `personal_key_missing`; `mapping_…` where the mapping never fitted;
                `working_year_unknown`, and as sources, readers and leases.
            TransientError: as sources and leases.
        """
        tables = self._needed()
        self.hmac = require_personal_key(self.pair)
        with open_source(self.pair, source_url(self.pair.pair)) as raw:
            pace = pace_of(self.job, self.pair.following)
            source = GentleSource(raw, county=self.county, pair=self.pair.pair, pace=pace)
            self.source = source
            self.seen_at = source.now()  # first: what is read is of this moment or later
            catalog, facts = source.catalog(), source.facts()
            before = self.loop.do(self._known_tables())
            columns = {name: row["columns"] for name, row in before.items() if row["columns"]}
            found = differences(self.pair, catalog)
            refuse(self.pair, unmapped(found, columns), found)
            drifted = drifts(self.pair, catalog, columns, found)
            broken = {drift.table for drift in drifted if drift.stop is not None}
            self.opened = self._open(source, broken)
            self.noticing = Noticing(self.job, self.opened.run)
            self.loop.do(self.noticing.drifts(drifted, catalog))
            self.loop.do(self.noticing.restarts(self._mended(broken)))
            self._read_tables([table for table in tables if table.name not in broken], catalog, facts)
        self.loop.do(self._save())
        return self.opened

    def _needed(self) -> list[SourceTable]:
        names = self.pair.table_by_name
        if unknown := sorted(set(self.parameters.tables or ()) - set(names)):
            raise PermanentError("table_unknown", f"the pair {self.pair.pair} has no tables {unknown}")
        return needed_tables(self.pair, self.parameters.tables)

    async def _known_tables(self) -> dict[str, pair_queries.Row]:
        async with self.job.database.read(self.county) as connection:
            return await pair_queries.read_tables(connection, self.county, self.pair.pair)

    def _open(self, source: GentleSource, broken: set[str]) -> OpenRun:
        working = self._year(self.pair.working_year, broken)
        if working is None:
            raise PermanentError("working_year_unknown", "the table that says the working year cannot be read")
        certified = self._year(self.pair.certified_year, broken) if self.pair.certified_year else None
        seen = Seen(source.database, self.seen_at, working, certified)
        return self.loop.do(runs.open_run(self.job, self.pair, self.parameters, self.lease, seen))

    def _year(self, year: WorkingYear, broken: set[str]) -> int | None:
        """The year that a table of one row says; of a table that drifted, what it said last."""
        if year.year is not None:
            return year.year
        name, _, column = (year.column or "").partition(".")
        if name in broken:
            return self.loop.do(self._last_year()) if year == self.pair.working_year else None
        table = self.pair.table_by_name[name]
        found = [normalise(table, raw)[column] for raw in self.source.read(table)]
        years = pl.concat(found).drop_nulls().unique().to_list() if found else []
        if len(years) != 1:
            raise PermanentError("working_year_unknown", f"{year.column} holds {len(years)} years, not one")
        return int(years[0])

    async def _last_year(self) -> int | None:
        async with self.job.database.read(self.county) as connection:
            row = await pair_queries.read_pair(connection, self.county, self.pair.pair)
        return row["working_year"] if row else None

    def _mended(self, broken: set[str]) -> list[str]:
        """Tables that drift had stopped and that fit again."""
        return [
            name
            for name, row in self.opened.known.items()
            if row["status"] == "stopped" and row["stopped_code"].startswith("mapping_") and name not in broken
        ]

    def _read_tables(self, tables: list[SourceTable], catalog: Catalog, facts: SourceFacts) -> None:
        run = self.opened.run
        stage = Stage(self.job.database, self.lease, run.run_id, run.sequence)
        intake = Intake(self.pair, self.source, stage, self.loop, self.today, self.noticing, hmac=self.hmac)
        followed = [table for table in tables if not self._is_halted(table.name)]
        past = self.loop.do(self._past(followed))
        works = [
            _TableReading(self, intake, table, choice=choose(self.pair, table, facts, catalog), past=past)
            for table in followed
        ]
        asked = [work for work in works if work.begin(saved(catalog[work.table.name])) == "incremental"]
        changed = changed_tables(self.source, [work.state for work in asked])
        idle = {work.table.name for work in asked} - changed
        try:
            for number, work in enumerate(works):
                self._tell(number, len(works), work.table.name)
                work.work(is_idle=work.table.name in idle)
            self._read_dependants(intake)
        except BaseException as error:
            intake.abort(error)
            raise
        finally:
            intake.close()
        self._count([work for work in works if work.mode is not None], idle, facts)

    def _count(self, works: "list[_TableReading]", idle: set[str], facts: SourceFacts) -> None:
        """What the source counts itself; after a full run every row once more, where the source stands still.

        A run that goes on has read some of its rows earlier than it counts them.
        """
        read = [work.state for work in works if work.table.name not in idle]
        quiet = [work.state for work in works if work.table.name in idle]
        is_unbroken = not self.opened.is_resumed
        for name, counted in count_source(self.source, self.pair, facts, read, quiet).items():
            is_one_moment = counted.is_one_moment and is_unbroken
            self.reads[name].counted = replace(counted, is_one_moment=is_one_moment).to_dict()
        if self.parameters.mode == "full" and is_unbroken and can_be_read_again(self.source, read):
            self.sides = read_source_again(
                self.source, self.pair, read, today=self.today,
                known=lambda table: self.loop.do(self._judged_by(table)),
            )  # fmt: skip

    async def _judged_by(self, table: SourceTable) -> Known:
        run_id = self.opened.run.run_id
        async with self.job.database.read(self.county) as connection:
            return await known.load_known(connection, self.county, self.pair, table, run_id=run_id)

    async def _past(self, tables: list[SourceTable]) -> queries.Past:
        run = self.opened.run
        async with self.job.database.read(self.county) as connection:
            return await queries.read_past(
                connection, self.county, self.pair.pair, run_id=run.run_id, sequence=run.sequence,
                tables=[table.name for table in tables],
            )  # fmt: skip

    def _tell(self, done: int, total: int, table: str) -> None:
        self.job.check()
        self.loop.do(self.job.progress(done, total + 1, "tables", f"reading {table}"))

    def _is_halted(self, name: str) -> bool:
        """Whether a person has paused or stopped the table."""
        row = self.opened.known.get(name)
        halted = row is not None and row["status"] in {"paused", "stopped"}
        return halted and not (row is not None and (row["stopped_code"] or "").startswith("mapping_"))

    def _read_dependants(self, intake: Intake) -> None:
        """Rows of parcels that came into the scope or left it, and rows whose reference is gone."""
        scope = self.pair.scope
        if scope is not None and scope in self.reads and not self.reads[scope].is_first:
            parcels = self.loop.do(self._scope_changes())
            concerned = dependants(self.pair, scope) if parcels else []
            for table in concerned:
                self._reread(intake, table, parcels)
            if absent := [table.name for table in concerned if table.name not in self.reads]:
                self.loop.do(self._read_as_whole_next(absent))
        for table in self.pair.tables:
            read = self.reads.get(table.name)
            if read is None or not (read.is_first or read.is_whole):
                self.loop.do(self._hold_vanished(table))

    async def _scope_changes(self) -> list[str]:
        async with self.job.database.read(self.county) as connection:
            return await known.scope_changes(connection, self.county, self.pair, run_id=self.opened.run.run_id)

    async def _read_as_whole_next(self, names: list[str]) -> None:
        async with self.job.database.begin(self.county) as unit:
            await self.lease.hold(unit)
            await known.read_as_whole_next(unit.connection, self.county, self.pair, names)

    def _reread(self, intake: Intake, table: SourceTable, parcels: list[str]) -> None:
        read = self.reads.get(table.name)
        if read is None or read.is_first or read.is_whole:
            return
        past = self.loop.do(self._past([table]))
        staging, position = self.staging(table, past)
        intake.ask_linked(staging, parcels, position)
        intake.place(staging, position)

    async def _hold_vanished(self, table: SourceTable) -> None:
        if not references(table):
            return
        staging, _ = self.staging(table, await self._past([table]))
        async with self.job.database.begin(self.county) as unit:
            await self.lease.hold(unit)
            await known.stage_vanished(
                unit.connection, self.county, self.pair, table, run_id=self.opened.run.run_id, batch=staging.batch
            )

    def staging(self, table: SourceTable, past: queries.Past) -> tuple[TableStage, dict[str, Any]]:
        """Where the table's staging is, and its reader's position."""
        batches = past.batches.get(table.name, [])
        is_anew = self.pair.following.snapshot_mode == "recovery"  # ranges of before are none of these
        is_anew = is_anew or any(batch["position"].get("plan") == "load" for batch in batches)
        ranges = [] if is_anew else past.ranges.get(table.name, [])
        row = self.opened.known.get(table.name)
        is_first = row is None and table.name not in past.landed
        staging = TableStage(
            table,
            is_first=is_first,
            is_renewed=not is_first and (row is None or row["rules"] != self.rules(table)),
            ranges={row["number"]: Bounds(_key(row["lower"]), _key(row["upper"])) for row in ranges},
            years=self.years(table),
            batch=batches[-1]["batch"] + 1 if batches else 0,
            rows_read=sum(batch["rows_read"] for batch in batches),
        )
        for found in (found for batch in batches for found in batch["ranges"]):
            bounds = Bounds(_key(found["lower"]), _key(found["upper"]))
            staging.take_range(found["number"], bounds, replaces=found["replaces"])
        return staging, batches[-1]["position"] if batches else {}

    def years(self, table: SourceTable) -> tuple[int, ...]:
        """The tax years that are read of a table; none: all."""
        return tuple(self.opened.run.working_year - back for back in range(table.years or 0))

    def rules(self, table: SourceTable) -> str:
        """What the table's rows are landed by in this run."""
        return runs.table_rules(self.pair, table, working_year=self.opened.run.working_year)

    async def _save(self) -> None:
        async with self.job.database.begin(self.county) as unit:
            await self.lease.hold(unit)
            details = {"tables": {name: read.to_dict() for name, read in self.reads.items()}}
            await pair_queries.set_phase(unit.connection, self.county, self.pair.pair, phase="read", details=details)


class _TableReading:
    """One table of a reading."""

    def __init__(
        self, reading: Reading, intake: Intake, table: SourceTable, *, choice: Choice, past: queries.Past
    ) -> None:
        self.reading, self.intake, self.table = reading, intake, table
        self.choice, self.past = choice, past
        self.row = reading.opened.known.get(table.name)
        self.staging, self.position = reading.staging(table, past)
        self.state = self._state()
        self.mode: Mode | None = None

    def begin(self, columns: dict[str, Any]) -> Mode | None:
        """Note how the table is read; null: not at all, or some of its rows only."""
        reading, parameters = self.reading, self.reading.parameters
        self.read = reading.reads[self.table.name] = TableRead(
            self.table.name,
            reader=self.choice.reader,
            content=self.choice.content,
            is_first=self.staging.is_first,
            is_chosen=parameters.mode == "snapshot" and self.table.name in (parameters.tables or ()),
            columns=columns,
            rules=reading.rules(self.table),
            blind_spots=list(self.choice.blind_spots),
            read_at=datetime.now(UTC).isoformat(),
        )
        self.mode = None if parameters.where or parameters.keys else self._how_much()
        return self.mode

    def work(self, *, is_idle: bool) -> None:
        """Read the table, and find the ranges of what came outside of any."""
        self._read(is_idle=is_idle)
        if not self.staging.is_first:
            self.intake.ask_left_out(self.staging, self.position)
        self.intake.place(self.staging, self.position)

    def _read(self, *, is_idle: bool) -> None:
        if is_idle:
            self.read.rows_idle = sum(known.digest.rows for known in self.state.ranges if known.digest)
        elif self.mode is not None:
            chunk = ChunkSize(seconds=self.reading.pair.following.chunk_seconds)
            batches = read_table(self.reading.source, self.state, chunk=chunk, mode=self.mode)
            self.intake.take(self.staging, batches)
            self.position = self.reading.loop.do(self._what_was_read())
        elif self.read.is_chosen and not self.position:
            self._ask_chosen()
            return
        is_partly_read = not self.read.is_whole and not self.staging.is_first
        if is_partly_read and self.table.name in self.past.held:
            self.intake.ask_again(self.staging, self.reading.loop.do(self._held_keys()), self.position)

    def _how_much(self) -> Mode | None:
        following, parameters = self.reading.pair.following, self.reading.parameters
        if self.row is None:
            return "no_data" if following.snapshot_mode == "no_data" and parameters.mode != "full" else "incremental"
        if following.snapshot_mode == "initial_only" and parameters.mode == "incremental":
            return None
        is_whole = parameters.mode in {"full", "verify"} or following.snapshot_mode == "always" or self.read.is_chosen
        return "full" if is_whole or self.staging.is_renewed else "incremental"

    def _state(self) -> TableState:
        reading, choice, row = self.reading, self.choice, self.row
        is_kept = row is not None and reading.pair.following.snapshot_mode != "recovery"
        same_reader = row is not None and row["reader"] == choice.reader
        same_content = row is not None and row["content"] == choice.content
        ranges = tuple(
            Range(found["number"], Bounds(_key(found["lower"]), _key(found["upper"])), _digest(found["digest"]))
            for found in (self.past.ranges.get(self.table.name, []) if is_kept else [])
        )
        return choice.state(
            reading.pair,
            self.table,
            token=row["token"] if row is not None and is_kept and same_reader else None,
            is_loaded=is_kept,
            ranges=ranges if same_content else tuple(replace(known, digest=None) for known in ranges),
            years=reading.years(self.table),
            position=self.position or None,
        )

    async def _what_was_read(self) -> dict[str, Any]:
        """Notes whether every row was read in this run, and whether by a log; returns the reader's position."""
        reading = self.reading
        place = Place(reading.county, reading.pair.pair, self.table.name, reading.opened.run.run_id, 0)
        async with reading.job.database.read(reading.county) as connection:
            batches = await queries.read_progress(connection, place)
            self.read.is_log = await queries.has_log(connection, place)
        position: dict[str, Any] = batches[-1]["position"] if batches else {}
        whole = [found for batch in batches for found in batch["ranges"] if found["number"] >= 0]
        is_one = any(found["lower"] is None and found["upper"] is None for found in whole)
        self.read.is_whole = is_one or position.get("plan") in {"load", "reread"}
        return position

    async def _held_keys(self) -> list[Held]:
        """Keys in quarantine that may be good by now although nothing of them was read."""
        reading = self.reading
        rules = None
        if reading.pair.connector in SMALL_SOURCES:
            moving = [c for c in self.table.checks if c.references or c.not_after_today or c.maximum_years_ahead]
            rules = [*OUTSIDE_RULES, *(check.rule.value for check in moving)]
        place = Place(reading.county, reading.pair.pair, self.table.name, reading.opened.run.run_id, 0)
        async with reading.job.database.read(reading.county) as connection:
            return await queries.quarantined_keys(connection, place, rules=rules)

    def _ask_chosen(self) -> None:
        """The rows that an operator named, by a column each or by their keys."""
        parameters, table = self.reading.parameters, self.table
        values: Sequence[Key]
        if parameters.keys is not None:
            values = [tuple(str(part) for part in key) for key in parameters.keys]
            self.intake.ask_chosen(self.staging, table.key, values, {})
            return
        for column, chosen in (parameters.where or {}).items():
            if column not in table.columns:
                raise PermanentError("column_unknown", f"the mapping of {table.name} has no column {column}")
            self.intake.ask_chosen(self.staging, (column,), [(str(value),) for value in chosen], {})


def _key(parts: list[str | None] | None) -> Key | None:
    return None if parts is None else tuple(parts)


def _digest(text: str | None) -> Digest | None:
    return None if text is None else Digest.parse(text)


def refuse(pair: Pair, unfit: list[MappingDifference], found: list[MappingDifference]) -> None:
    """Refuse a mapping that names what the source never had.

    Raises:
        PermanentError: the code of the first difference; `details.differences` has them all.
    """
    if unfit:
        shown = "; ".join(difference.message for difference in found[:5])
        raise PermanentError(
            unfit[0].code,
            f"the mapping of {pair.pair} does not fit the source ({len(found)} differences): {shown}",
            details={"differences": [difference.to_dict() for difference in found]},
        )
