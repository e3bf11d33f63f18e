"""What a service does again and again beside its messages."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

log = logging.getLogger(__name__)


async def every(interval: timedelta, action: Callable[[], Awaitable[None]]) -> None:
    """Repeat an action for ever; an outage is logged and survived."""
    while True:
        try:
            await action()
        except Exception as error:  # noqa: BLE001 whatever it was, the next round may succeed
            log.warning("will look again", extra={"reason": repr(error), "loop": action.__name__})
        await asyncio.sleep(interval.total_seconds())
