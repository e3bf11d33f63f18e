"""Steers a pair by a person's word: pause, resume and stop it or some of its tables, also while a run is under way."""

from typing import Any

from chassis.errors import PermanentError
from chassis.jobs import RunningJob
from contracts.api.sync import SyncParameters
from contracts.mapping import Pair
from services.ingest import pair_queries

TABLE_STATUS = {"pause": "paused", "stop": "stopped", "resume": "active"}


async def steer(job: RunningJob, pair: Pair, parameters: SyncParameters) -> None:
    """A run that is under way ends after its batch; what it has read is kept by a pause and thrown away by a stop.

    Raises:
        PermanentError: `table_unknown`, `tables_not_loaded`, `pair_held`.
    """
    result: dict[str, Any] = {"pair": pair.pair, "mode": parameters.mode, "tables": parameters.tables}
    async with job.completing(result) as unit:
        connection, county = unit.connection, job.county
        known = await pair_queries.read_pair(connection, county, pair.pair)
        if known is None:
            raise PermanentError("tables_not_loaded", f"{pair.pair} was never synchronised")
        if parameters.tables is not None:
            if unknown := sorted(set(parameters.tables) - set(pair.table_by_name)):
                raise PermanentError("table_unknown", f"the pair {pair.pair} has no tables {unknown}")
            changed = await pair_queries.set_table_status(
                connection, county, pair.pair, source_tables=parameters.tables, status=TABLE_STATUS[parameters.mode]
            )
            if changed < len(set(parameters.tables)):
                raise PermanentError("tables_not_loaded", "a table that was never read cannot be steered")
            return
        run = await pair_queries.read_run(connection, county, pair.pair)
        if known["status"] == "held" and run is not None and run["phase"] == "held":
            raise PermanentError("pair_held", f"{pair.pair} waits for a decision: approve or reject it first")
        status = "active" if parameters.mode == "resume" else "paused"
        await pair_queries.set_pair_status(connection, county, pair.pair, status=status)
        if parameters.mode == "stop":
            await pair_queries.end_run(connection, county, pair.pair, sequence=known["sequence"] + 1)
