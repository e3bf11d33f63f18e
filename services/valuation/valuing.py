"""Values a scope batch by batch, in its order: in this process, or in several where the scope is large.

The batches are the same however many processes there are, and so are the bytes that come of them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from chassis.jobs import RunningJob
from services.valuation.domain.mass import CountyModel, value_parcels
from services.valuation.domain.properties import Properties
from services.valuation.processes import kept
from services.valuation.processes import processes as further
from services.valuation.run_plan import RunPlan
from services.valuation.value_lines import EncodedValues, encode_values

BATCH_PARCELS = 2_000
MANY_PARCELS = 20_000  # further processes are ready after some seconds: fewer parcels are done by then
_AHEAD = 2  # batches that wait for each process, so that none is idle and memory stays bounded


@dataclass(frozen=True)
class Batch:
    """Parcels, and what a run does to their values."""

    parcels: Properties
    plan: RunPlan


@dataclass(frozen=True)
class ValuedBatch:
    """A batch's lines, and the parcels of it that no model can value with the reason."""

    lines: EncodedValues
    refused: dict[str, str]


def batches_of(parcels: Properties, plan: RunPlan) -> list[Batch]:
    """The scope in batches, each with its own part of the plan."""
    starts = range(0, len(parcels), BATCH_PARCELS)
    parts = (parcels.take(np.arange(start, min(start + BATCH_PARCELS, len(parcels)))) for start in starts)
    return [Batch(part, plan.of(part.parcel_id.tolist())) for part in parts]


def value_batch(model: CountyModel, batch: Batch) -> ValuedBatch:
    """A batch's values as the run stores them."""
    valued = value_parcels(model, batch.parcels)
    return ValuedBatch(encode_values(batch.plan.finish(valued.values)), valued.refused)


async def valued_batches(
    job: RunningJob, model: CountyModel, batches: list[Batch], *, processes: int
) -> AsyncGenerator[ValuedBatch, None]:
    """The batches' values in the batches' order; the job can stop between two of them.

    Raises:
        TransientError: `process_lost`: one of the processes was killed.
    """
    if processes == 1 or sum(len(batch.parcels) for batch in batches) < MANY_PARCELS:
        for batch in batches:
            yield await job.compute(value_batch, model, batch)
        return
    async with further(processes, given=model) as pool:
        async for valued in _in_order(pool, batches, ahead=processes * _AHEAD):
            job.check()
            yield valued


async def _in_order(pool: ProcessPoolExecutor, batches: Iterable[Batch], *, ahead: int) -> AsyncIterator[ValuedBatch]:
    waiting = deque[Future[ValuedBatch]]()
    for batch in batches:
        waiting.append(pool.submit(_value, batch))
        if len(waiting) > ahead:
            yield await asyncio.wrap_future(waiting.popleft())
    while waiting:
        yield await asyncio.wrap_future(waiting.popleft())


def _value(batch: Batch) -> ValuedBatch:
    return value_batch(kept(), batch)
