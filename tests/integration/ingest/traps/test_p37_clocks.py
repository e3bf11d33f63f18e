"""Clocks that differ: a cursor is a time of the source's own clock, never of ours."""

import sys
from datetime import datetime, timedelta
from typing import Any, Self

import pytest

from tests.support.small_source import LOTS, MARKS, marked_lots, small_pair

ROWS = "INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 20) n;"


def _shift(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Every clock that ingest looks at goes wrong by so much."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Self:
            return cls.fromisoformat((datetime.now(tz) + by).isoformat())

    looked_at = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("services.ingest") and getattr(module, "datetime", None) is datetime
    ]
    assert looked_at
    for module in looked_at:
        monkeypatch.setattr(module, "datetime", Shifted)


@pytest.mark.parametrize("minutes", [-10, 10, -24 * 60, 24 * 60])
async def test_p37_our_clock_may_be_wrong(
    follow_small: Any, monkeypatch: pytest.MonkeyPatch, reader: str, minutes: int
) -> None:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)))
    await small.follow()
    small.execute("UPDATE dbo.lot SET note = 'one' WHERE lot_id = 1")
    _shift(monkeypatch, timedelta(minutes=minutes))
    await small.follow()
    assert await small.said() == ["parcel.changed 1"]
    small.execute("UPDATE dbo.lot SET note = 'two' WHERE lot_id = 2", "INSERT INTO dbo.lot VALUES (21, 'N', 1, NULL)")
    monkeypatch.undo()
    await small.follow()
    assert await small.said() == ["parcel.changed 2", "parcel.changed 21"]
    _shift(monkeypatch, timedelta(minutes=-minutes))
    small.execute("UPDATE dbo.lot SET note = 'three' WHERE lot_id = 3", "DELETE FROM dbo.lot WHERE lot_id = 4")
    await small.follow()
    assert await small.said() == ["parcel.changed 3", "parcel.removed 4"]
    await small.assert_equal()


@pytest.mark.parametrize("minutes", [-30, 30])
async def test_p37_programs_of_the_source_may_stamp_wrong_times(follow_small: Any, minutes: int) -> None:
    """A workstation's clock stamps the rows that it writes; the overlap bears with it, ahead or behind."""
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots("timestamp")))
    await small.follow()
    for row in (1, 2, 3):
        small.execute(
            f"UPDATE dbo.lot SET note = 'new', changed_at = clock_timestamp() + interval '{minutes} minutes'"
            f" WHERE lot_id = {row}"
        )
        await small.follow()
    if minutes > 0:  # a stamp ahead of the server's clock is read once the clock has come to it
        small.execute("UPDATE dbo.lot SET changed_at = clock_timestamp() WHERE lot_id <= 3")
    await small.follow()
    await small.assert_equal()
