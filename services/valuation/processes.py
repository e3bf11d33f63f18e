"""Further processes of a worker, each with one thing that it was given once and keeps.

Processes and not threads: between them numpy's many short calls leave nothing to gain. Each is started anew (a fork
of a process with threads may hang), computes in one thread, and ends when the worker does, however that ends.
"""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from chassis.errors import TransientError

_kept: list[Any] = []


@asynccontextmanager
async def processes(count: int, *, given: object = None) -> AsyncIterator[ProcessPoolExecutor]:
    """A pool of so many processes, each with its own copy of what is given; gone at the end of the block.

    Raises:
        TransientError: `process_lost`: one of them was killed.
    """
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin, (given,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise TransientError("process_lost", "a process that computed for the job was lost") from error
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)


def kept() -> Any:
    """In a further process: what it was given."""
    return _kept[0]


def _begin(given: object) -> None:
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _kept.append(given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
