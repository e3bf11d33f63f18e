"""Waiting for a condition inside a running event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")


async def eventually(
    look: Callable[[], Awaitable[Found | None]], what: str, *, wait_seconds: float = 30, pause_seconds: float = 0.02
) -> Found:
    """Look until something true is found and return it; fail when it does not come."""
    deadline = time.monotonic() + wait_seconds
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {wait_seconds:.0f} s in vain until {what}")
        await asyncio.sleep(pause_seconds)
    return found
