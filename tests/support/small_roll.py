"""A small roll that is valued as a large one, by several processes."""

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import date
from typing import Any

from chassis.jobs import RunningJob
from contracts.api.valuation import ValuationParameters
from contracts.subjects import JobKind
from services.valuation import valuing
from services.valuation.domain.mass import CountyModel, fit_county
from services.valuation.domain.properties import KINDS, Properties, UseCodes, properties
from services.valuation.domain.runs import RunRules, Standing
from services.valuation.domain.sales import to_sales
from services.valuation.run_plan import RunPlan
from tests.support.planted_market import planted_sales

BATCH_PARCELS, PARCELS = 40, 400


def county() -> tuple[CountyModel, Properties]:
    """A model of few sales, and parcels to value."""
    sold = to_sales(planted_sales(count=200), UseCodes())
    model = fit_county(sold, kinds=KINDS, model="blend", comparables=3, valuation_date=date(2025, 1, 1))
    return model, properties(planted_sales(count=PARCELS, seed=2), use_codes=UseCodes())


def plan(parcels: Properties) -> RunPlan:
    parameters = ValuationParameters.model_validate({"scope": {"all": True}})
    standing = {parcel: Standing("N1", "11", 100_000.0) for parcel in parcels.parcel_id[::2]}
    return RunPlan(RunRules(parameters.factors, parameters.caps, parameters.review), "roll", standing, [])


def job() -> RunningJob:
    nothing: Any = None
    return RunningJob(nothing, uuid.uuid4(), "benton", JobKind.VALUATION, 1, "tester", None)


async def valued(
    fitted: tuple[CountyModel, Properties], processes: int, asked: RunningJob | None = None
) -> AsyncIterator[valuing.ValuedBatch]:
    model, parcels = fitted
    batches = valuing.batches_of(parcels, plan(parcels))
    async with aclosing(valuing.valued_batches(asked or job(), model, batches, processes=processes)) as found:
        async for batch in found:
            yield batch
