"""Carries batches from the event loop, where the database is read, to the thread where files are written."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")


def iterate_in_thread(items: AsyncIterator[Item], loop: asyncio.AbstractEventLoop) -> Iterator[Item]:
    """The items one by one, for a thread that is not the loop's; what they raise is raised there."""
    while True:
        item = asyncio.run_coroutine_threadsafe(_next(items), loop).result()
        if item is None:
            return
        yield item


async def _next(items: AsyncIterator[Item]) -> Item | None:
    return await anext(items, None)


async def until_ended(work: Coroutine[Any, Any, Item]) -> Item:
    """Await `work`, and where the caller is cancelled still wait until the thread behind it has let go of its files."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
