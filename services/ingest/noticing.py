"""Says at once what a run notices of its source beyond rows: drift, gaps, logs that stand still."""

import logging
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from chassis.jobs import RunningJob
from contracts.events.ingest import SyncTableStopped
from contracts.mapping import SourceTable
from services.ingest import pair_queries
from services.ingest.domain.drift import Drift, changed_columns, saved
from services.ingest.domain.envelopes import Run
from services.ingest.readers.batch import Batch
from services.ingest.record import telling
from services.ingest.sources.source import Catalog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Noticing:
    """Tells of a run; every event has an id that a repetition of the run gives again."""

    job: RunningJob
    run: Run

    async def batch(self, table: SourceTable, batch: Batch) -> None:
        """A gap is told of and repaired by the batches that follow; of a log that stands still a person has to know."""
        if batch.stalled is not None:
            log.error("the log of a table stands still", extra={"pair": self.run.pair.pair, "table": table.name})
        if batch.gap is not None:
            async with self.job.database.begin(self.run.county) as unit:
                await telling.tell_gap(
                    unit, self.run, [table.name], reader=table.reader or self.run.pair.reader,
                    token=batch.gap.since, oldest_token=batch.gap.low_mark,
                )  # fmt: skip

    async def drifts(self, found: list[Drift], catalog: Catalog) -> None:
        """Keep the history of schema changes; stop the tables that cannot be read on."""
        for drift in found:
            await self._drift(drift, catalog)

    async def _drift(self, drift: Drift, catalog: Catalog) -> None:
        run, columns = self.run, catalog.get(drift.table, {})
        county, pair = run.county, run.pair.pair
        async with self.job.database.begin(county) as unit:
            is_new = await pair_queries.save_schema_change(
                unit.connection, county, pair, source_table=drift.table, kind=drift.kind, columns=drift.columns(),
                identity=uuid5(NAMESPACE_URL, f"{county}/{pair}/{drift.table}/{run.sequence}/{drift}"),
                operation_id=run.operation_id,
            )  # fmt: skip
            if is_new:
                key = run.pair.table_by_name[drift.table].key
                await telling.tell_schema_change(
                    unit, run, drift.table, kind=drift.kind, columns=changed_columns(columns), key=key
                )
            if drift.stop is None:
                await pair_queries.save_table(
                    unit.connection, county, pair, drift.table, values={"reader": "", "status": "active",
                                                                        "columns": saved(columns)},
                    kept=("reader", "status"),
                )  # fmt: skip
                return
            stopped = await pair_queries.stop_table(
                unit.connection, county, pair, drift.table, code=drift.stop.code, message=drift.stop.message
            )
            if stopped:
                fact = SyncTableStopped(
                    **telling.about(run), source_table=drift.table, code=drift.stop.code, message=drift.stop.message,
                    columns=(*drift.gone, *drift.altered),
                )  # fmt: skip
                await telling.tell_fact(unit, run, fact, drift.table)

    async def restarts(self, tables: list[str]) -> None:
        """Follow tables again that fit again."""
        for name in tables:
            async with self.job.database.begin(self.run.county) as unit:
                await pair_queries.start_table(unit.connection, self.run.county, self.run.pair.pair, name)
