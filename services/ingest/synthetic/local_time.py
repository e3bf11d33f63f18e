"""Moments as the source writes them."""

from datetime import datetime

import polars as pl

LOCAL_TIME = pl.Datetime("ms")


def local_time(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A moment in the county's local time, with no zone, as SQL Server's datetime has none."""
    return datetime(year, month, day, hour, minute)  # noqa: DTZ001


def repeat_time(when: datetime | None, count: int) -> pl.Series:
    """A column that holds the same moment in every row."""
    return pl.repeat(when, count, dtype=LOCAL_TIME, eager=True)
