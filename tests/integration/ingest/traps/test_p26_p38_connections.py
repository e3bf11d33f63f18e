"""Connections that die at any point, and servers that take their time."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.small_source import LOTS, MARKS, marked_lots, small_pair
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

ROWS = "INSERT INTO dbo.lot SELECT n, 'L' || n, n, repeat('x', 190) FROM generate_series(1, 2500) n;"
LOST = {"source_unavailable", "source_timeout"}


@pytest.fixture
def proxy(postgres: Any) -> Iterator[TcpProxy]:
    with tcp_proxy(postgres.url) as proxy:
        yield proxy


async def test_p26_a_connection_cut_before_any_of_its_questions(
    follow_small: Any, proxy: TcpProxy, reader: str
) -> None:
    """At each phase: login, settings, catalogue, marks, digests, rows. Nothing is applied, and the next run goes on."""
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)), through=proxy.url)
    await small.follow()
    small.execute("UPDATE dbo.lot SET note = 'new' WHERE lot_id % 1000 = 7", "DELETE FROM dbo.lot WHERE lot_id = 3")
    before = await small.landed("lot")
    cut = 0
    while True:
        proxy.heal()
        proxy.cut_after_asked = cut + 1
        job = await small.bench.run("incremental")
        if job["status"] == "succeeded":
            break
        assert job["error"]["code"] in LOST, job["error"]
        assert await small.landed("lot") == before
        cut += 1
    assert cut >= 5
    await small.assert_equal()
    proxy.heal()
    assert (await small.follow())["changes"] == 0


async def test_p26_a_first_load_cut_inside_of_its_answers(follow_small: Any, proxy: TcpProxy, reader: str) -> None:
    """A block that ends in the middle of a row is no block."""
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)), through=proxy.url)
    await small.follow("full")
    whole, cuts = proxy.answered_bytes, 0
    assert whole > 100_000
    other = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)), through=proxy.url)
    for share in (0.02, 0.1, 0.35, 0.6, 0.9, 0.99):
        proxy.heal()
        proxy.cut_after_answered_bytes = int(whole * share)
        job = await other.bench.run("incremental")
        if job["status"] == "failed":  # what was staged before a cut is not read again, so the later ones may not come
            cuts += 1
            assert job["error"]["code"] in LOST, job["error"]
            assert await other.bench.fetch("SELECT 1 FROM ingest.parcel_v1") == []
    assert cuts >= 2
    proxy.heal()
    await other.follow()
    await other.assert_equal()


async def test_p38_a_slow_first_byte_is_waited_for_and_is_no_empty_read(follow_small: Any, proxy: TcpProxy) -> None:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots("hash_diff")), through=proxy.url)
    await small.follow()
    small.execute("UPDATE dbo.lot SET note = 'new' WHERE lot_id = 7")
    proxy.delay_seconds = 0.15
    await small.follow()
    assert proxy.asked > 5
    assert await small.said() == ["parcel.changed 7"]
    await small.assert_equal()
