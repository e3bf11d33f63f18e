"""Answers `query.valuation.comparison.<county>`: two runs side by side. Runs are frozen, so answers are kept."""

import asyncio
import json
from collections import OrderedDict
from typing import Any
from uuid import UUID

import asyncpg
import polars as pl
from faststream.nats import NatsMessage

from chassis.service import Service
from contracts.api.valuation_runs import ComparisonQuery, Mover, RunComparison
from services.valuation import run_queries
from services.valuation.deciding import require_run
from services.valuation.domain import comparing

SUBJECT = "query.valuation.comparison.*"
KEPT_ANSWERS = 32
STAMPS = ("tax_year", "valuation_date", "model", "prior_basis", "code_version", "snapshot", "input_sha256")


class ComparisonDesk:
    """Compares runs, and keeps the last answers."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.comparing = asyncio.Lock()  # one at a time: both runs of a county are in memory meanwhile
        self.answers: OrderedDict[tuple[str, UUID, UUID, int], RunComparison] = OrderedDict()

    async def answer(self, query: ComparisonQuery, message: NatsMessage) -> RunComparison:
        """The comparison; the chassis makes problems of refusals and of what is no query."""
        county = message.raw_message.subject.rpartition(".")[2]
        key = (county, query.run_id, query.other_run_id, query.movers)
        async with self.comparing:
            if key not in self.answers:
                self.answers[key] = await self._compare(county, query)
                while len(self.answers) > KEPT_ANSWERS:
                    self.answers.popitem(last=False)
            return self.answers[key]

    async def _compare(self, county: str, query: ComparisonQuery) -> RunComparison:
        async with self.service.database.read(county) as connection:
            first = await require_run(connection, county, query.run_id)
            other = await require_run(connection, county, query.other_run_id)
            frame = await run_queries.read_both(connection, county, query.run_id, query.other_run_id)
            both = await asyncio.to_thread(comparing.in_both, frame)
            moved = comparing.largest(both, query.movers)
            ids = moved["parcel_id"].to_list()
            made_of = [
                await run_queries.read_contributions(connection, county, run["run_id"], ids) for run in (first, other)
            ]
        same_model = first["model"] == other["model"]
        movers = [
            comparing.mover(row, *(parts[row["parcel_id"]] for parts in made_of), same_model=same_model)
            for row in moved.iter_rows(named=True)
        ]
        return await asyncio.to_thread(_comparison, first, other, frame, both, movers)


def subscribe(service: Service) -> None:
    """Hear the queries of every county; of several workers one answers."""
    desk = ComparisonDesk(service)
    service.broker.subscriber(
        SUBJECT,
        queue="valuation",
        title="comparison of two runs",
        description="ComparisonQuery in, RunComparison or a problem {code, detail} in reply",
    )(desk.answer)


def _comparison(
    first: asyncpg.Record, other: asyncpg.Record, frame: pl.DataFrame, both: pl.DataFrame, movers: list[Mover]
) -> RunComparison:
    return RunComparison(
        run_id=first["run_id"],
        other_run_id=other["run_id"],
        only_in_run=int(frame["other_value_usd"].null_count()),
        only_in_other=int(frame["value_usd"].null_count()),
        overall=comparing.summarize(both),
        percentiles=comparing.percentiles(both),
        histogram=comparing.histogram(both),
        by_neighborhood=comparing.by(both, "neighborhood"),
        by_use_code=comparing.by(both, "use_code"),
        differences=_differences(first, other),
        movers=movers,
    )


def _differences(first: asyncpg.Record, other: asyncpg.Record) -> dict[str, tuple[Any, Any]]:
    """What was asked or stamped differently."""
    known = [{**row["parameters"], **{name: _plain(row[name]) for name in STAMPS}} for row in (first, other)]
    names = sorted({*known[0], *known[1]})
    pairs = {name: (known[0].get(name), known[1].get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
