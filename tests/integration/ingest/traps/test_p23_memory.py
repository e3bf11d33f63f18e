"""A huge transaction: its rows are read, staged and applied in pieces, whatever their number."""

from typing import Any

import pytest

from tests.support.measured_run import run_measured
from tests.support.small_source import LOTS, MARKS, NO_BRAKE, marked_lots, small_pair

MOST_MB = 512


async def _change_everything(follow_small: Any, *, reader: str, rows: int) -> None:
    """Rows of about a kilobyte each, loaded, and then all changed in one transaction."""
    wide = "ALTER TABLE dbo.lot ALTER note TYPE varchar(1000);"
    filled = (
        "INSERT INTO dbo.lot SELECT n, 'L' || n, n, repeat(md5(n::text), 28)"
        f" FROM generate_series(1, {rows}) n ORDER BY n;"
    )
    pair = small_pair(marked_lots(reader), following=NO_BRAKE)
    small = await follow_small(LOTS + MARKS + wide + filled, pair)
    loaded = run_measured(small.bench, "full", wait_seconds=3000)
    assert loaded.changes == rows
    small.execute("UPDATE dbo.lot SET amount = amount + 1, note = repeat(md5(note), 28)")
    changed = run_measured(small.bench, "incremental", wait_seconds=3000)
    assert changed.changes == rows
    assert max(loaded.peak_mb, changed.peak_mb) <= MOST_MB, (loaded, changed)
    sums = small.rows("SELECT count(*) AS n, sum(amount) AS total FROM dbo.lot")[0]
    record = await small.bench.fetch("SELECT count(*) AS n, sum(total_value_usd) AS total FROM ingest.parcel_v1")
    assert record == [sums]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("reader", ["hash_diff", "rowversion"])
async def test_p23_a_large_update_needs_no_more_memory(follow_small: Any, reader: str) -> None:
    await _change_everything(follow_small, reader=reader, rows=80_000)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_p23_an_update_of_five_million_rows(follow_small: Any) -> None:
    await _change_everything(follow_small, reader="hash_diff", rows=5_000_000)
