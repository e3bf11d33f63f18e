"""Marks: what is in flight, what is committed between two statements, precision and ties."""

import threading
from typing import Any

import psycopg
import pytest

from tests.support.small_source import LOTS, MARKS, marked_lots, small_pair
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

FOUR = "INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 4) n;"


@pytest.mark.usefixtures("moments")
async def test_p01_a_row_stamped_early_and_committed_late_arrives(follow_small: Any, reader: str) -> None:
    """Each change is told of once; those behind the open stamp may wait for it."""
    small = await follow_small(LOTS + MARKS + FOUR, small_pair(marked_lots(reader)))
    await small.follow()
    said: list[str] = []
    with psycopg.connect(small.url) as early:
        early.execute("UPDATE dbo.lot SET note = 'early' WHERE lot_id = 1")
        early.execute("INSERT INTO dbo.lot VALUES (5, 'L5', 5, 'early')")
        for row in (2, 3):
            small.execute(f"UPDATE dbo.lot SET note = 'late' WHERE lot_id = {row}")
            await small.follow()
            said += await small.said()
        assert not {"parcel.changed 1", "parcel.changed 5"}.intersection(said)
    await small.follow()
    said += await small.said()
    assert sorted(said) == ["parcel.changed 1", "parcel.changed 2", "parcel.changed 3", "parcel.changed 5"]
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0


async def test_p01_a_row_stamped_early_and_rolled_back_never_arrives(follow_small: Any, reader: str) -> None:
    small = await follow_small(LOTS + MARKS + FOUR, small_pair(marked_lots(reader)))
    await small.follow()
    with psycopg.connect(small.url) as undecided:
        undecided.execute("UPDATE dbo.lot SET note = 'never' WHERE lot_id = 1")
        undecided.execute("DELETE FROM dbo.lot WHERE lot_id = 2")
        small.execute("UPDATE dbo.lot SET note = 'late' WHERE lot_id = 3")
        await small.follow()
        said = await small.said()
        undecided.rollback()
    await small.follow()
    assert said + await small.said() == ["parcel.changed 3"]
    await small.assert_equal()


class _Writing:
    """Commits one change of another row before everything that the reader asks."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.lock = threading.Lock()
        self.turn = 0

    def __call__(self, _asked: bytes) -> None:
        with self.lock:
            self.turn += 1
            row, kind = 1 + self.turn % 97, self.turn % 4
            statement = {
                0: f"INSERT INTO dbo.lot VALUES ({1000 + self.turn}, 'N', {self.turn}, 'new')",
                1: f"DELETE FROM dbo.lot WHERE lot_id = {1000 + self.turn - 9}",
            }.get(kind, f"UPDATE dbo.lot SET amount = {self.turn}, note = 'w{self.turn}' WHERE lot_id = {row}")
            self.connection.execute(statement.encode())


@pytest.mark.usefixtures("moments")
async def test_p02_a_change_before_every_statement_of_the_reader_arrives(
    follow_small: Any, postgres: Any, reader: str
) -> None:
    """The mark and the rows come of different moments: what is committed between them may be in neither."""
    many = "INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 97) n;"
    with tcp_proxy(postgres.url) as proxy:
        small = await follow_small(LOTS + MARKS + many, small_pair(marked_lots(reader)), through=proxy.url)
        writing = _Writing(small.url)
        for _ in range(4):
            await _follow_while(small, proxy, writing)
        assert writing.turn > 20
        await small.follow()
        await small.assert_equal()
        assert (await small.follow())["changes"] == 0
        writing.connection.close()


async def _follow_while(small: Any, proxy: TcpProxy, writing: _Writing) -> None:
    proxy.before_asking = writing
    await small.follow()
    proxy.heal()


async def test_p03_stamps_next_to_the_saved_token_arrive(follow_small: Any) -> None:
    """Neighbours by a microsecond and by the ticks of three and seven milliseconds, on both sides of the bound."""
    precise = LOTS + MARKS + "ALTER TABLE dbo.lot ALTER changed_at TYPE timestamp(6);"
    small = await follow_small(precise + FOUR, small_pair(marked_lots("timestamp")))
    await small.follow()
    ((token,),) = [row.values() for row in await small.bench.fetch("SELECT token FROM ingest.sync_table_v1")]
    offsets = ("-0.007", "-0.003", "-0.000001", "0", "0.000001", "0.003", "0.007")
    for place, offset in enumerate(offsets, start=10):
        stamp = f"CAST('{token}' AS timestamp) + interval '{offset} seconds'"
        small.execute(f"INSERT INTO dbo.lot (lot_id, number, changed_at) VALUES ({place}, 'T{place}', {stamp})")
    await small.follow()
    assert await small.said() == [f"parcel.changed {10 + place}" for place in range(len(offsets))]
    await small.assert_equal()
    for place, offset in enumerate(offsets, start=10):
        stamp = f"CAST('{token}' AS timestamp) + interval '{offset} seconds'"
        small.execute(f"UPDATE dbo.lot SET note = 'again', changed_at = {stamp} WHERE lot_id = {place}")
    await small.follow()
    assert len(await small.said()) == len(offsets)
    await small.assert_equal()


async def test_p04_a_thousand_rows_with_one_stamp_over_two_polls(follow_small: Any) -> None:
    """Half of the ties are committed before the poll and half after it: an exclusive bound would lose these."""
    many = "INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 1500) n;"
    small = await follow_small(LOTS + MARKS + many, small_pair(marked_lots("timestamp")))
    await small.follow()
    stamp = small.rows("SELECT (clock_timestamp() AT TIME ZONE current_setting('TimeZone'))::text AS at")[0]["at"]
    tie = f"UPDATE dbo.lot SET note = 'tied', changed_at = '{stamp}'"
    small.execute(f"{tie} WHERE lot_id <= 500")
    assert (await small.follow())["changes"] == 500
    small.execute(f"{tie} WHERE lot_id BETWEEN 501 AND 1000")
    assert (await small.follow())["changes"] == 500
    await small.assert_equal()
    assert (await small.follow())["changes"] == 0
