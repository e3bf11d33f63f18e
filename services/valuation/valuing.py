"""Values a scope batch by batch, in its order: in this process, or in several where the scope is large.

Processes and not threads: between them numpy's many short calls leave nothing to gain. Each is started anew (a
fork of a process with threads may hang) and is given the fitted model once; the batches are the same however many
processes there are, and so are the bytes that come of them.
"""

import asyncio
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from chassis.errors import TransientError
from chassis.jobs import RunningJob
from services.valuation.domain.mass import CountyModel, value_parcels
from services.valuation.domain.properties import Properties
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
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (model,))
    try:
        async for valued in _in_order(pool, batches, ahead=processes * _AHEAD):
            job.check()
            yield valued
    except BrokenProcessPool as error:
        raise TransientError("process_lost", "a process that valued parcels was lost") from error
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)


async def _in_order(pool: ProcessPoolExecutor, batches: Iterable[Batch], *, ahead: int) -> AsyncIterator[ValuedBatch]:
    waiting = deque[Future[ValuedBatch]]()
    for batch in batches:
        waiting.append(pool.submit(_value, batch))
        if len(waiting) > ahead:
            yield await asyncio.wrap_future(waiting.popleft())
    while waiting:
        yield await asyncio.wrap_future(waiting.popleft())


class _Process:
    """What a further process holds."""

    model: CountyModel


def _begin(model: CountyModel) -> None:
    """In a new process: take the model, and end with the process that asked."""
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Process.model = model


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _value(batch: Batch) -> ValuedBatch:
    return value_batch(_Process.model, batch)
