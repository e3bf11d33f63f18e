"""Tells an outage of the database or the bus, which passes, from a mistake, which does not."""

import asyncpg
import nats.errors

_OUTAGES = (
    OSError,  # TimeoutError too
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    nats.errors.Error,
)


def is_outage(error: BaseException) -> bool:
    """Whether the same will work once the database or the bus is back."""
    if isinstance(error, asyncpg.InterfaceError):  # asyncpg has one class for wrong calls and for lost connections
        return "closed" in str(error) or "closing" in str(error)
    return isinstance(error, _OUTAGES)
