"""Processes that stand still within a transaction lose it, wherever they stand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from chassis.database import Database
from tests.support.jobs import COUNTY
from tests.support.waiting import eventually

SILENCE = timedelta(seconds=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, service="ingest", transaction_silence=SILENCE)
    await opened.open()
    yield opened
    await opened.close()


async def stand_still_copying(database: Database, never: asyncio.Event) -> None:
    """Hold a lock and stop in the middle of a COPY."""

    async def rows() -> AsyncIterator[bytes]:
        yield b"1\n"
        await never.wait()

    async with database.begin(COUNTY) as unit:
        await unit.connection.execute("SELECT pg_advisory_xact_lock(7)")
        await unit.connection.execute("CREATE TEMPORARY TABLE half (n int) ON COMMIT DROP")
        await unit.connection.copy_to_table("half", source=rows())


async def is_locked(database: Database) -> bool:
    async with database.read(COUNTY) as connection:
        return not await connection.fetchval("SELECT pg_try_advisory_xact_lock(7)")


async def test_one_that_stands_still_within_a_statement_loses_its_locks(database: Database) -> None:
    standing = asyncio.create_task(stand_still_copying(database, asyncio.Event()))
    await eventually(lambda: is_locked(database), "the lock is held")

    async def is_ended() -> bool:
        await database.end_silent()
        return not await is_locked(database)

    await eventually(is_ended, "the lock is free")
    standing.cancel()
    with pytest.raises((asyncio.CancelledError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await standing


async def test_one_that_waits_for_the_server_keeps_its_session(database: Database) -> None:
    async with database.begin(COUNTY) as holder:
        await holder.connection.execute("SELECT pg_advisory_xact_lock(8)")
        waiting = asyncio.create_task(wait_for_lock(database))
        for _ in range(8):  # two silences, in which the holder stays awake
            await holder.connection.execute("SELECT pg_sleep($1)", SILENCE.total_seconds() / 4)
            await database.end_silent()
        assert not waiting.done()
    assert await waiting


async def wait_for_lock(database: Database) -> bool:
    async with database.begin(COUNTY) as unit:
        await unit.connection.execute("SELECT pg_advisory_xact_lock(8)")
        return True
