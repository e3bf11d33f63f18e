"""How fast a segment sells. The record knows no listings, so months of supply cannot be told."""

from datetime import date

import numpy as np
import polars as pl

from appraisal.arrays import Interval
from appraisal.ratio_statistics import mean_interval
from contracts.api.market import Absorption

MONTHS = 12


def study_absorption(
    sales: pl.DataFrame, *, to_date: date, known_since: date | None, parcels: int | None, confidence: float
) -> Absorption:
    """Usable sales a month over the twelve months to `to_date`, and the share of the parcels that they are.

    `known_since` is the first usable sale of any segment: before it, no sale does not mean that none was made.
    The interval comes of how unlike the twelve months are, so that a season or a turn widens it.
    """
    counts = _monthly_counts(sales, to_date)
    since = _months_before(to_date, MONTHS - 1)
    covered = known_since is not None and known_since <= since
    rate = float(counts.mean()) if covered else None
    reach = mean_interval(counts, confidence) if covered else None
    interval: Interval | None = None if reach is None else (max(0.0, reach[0]), reach[1])
    share = 100 * MONTHS / parcels if parcels else None
    turnover = None if interval is None or share is None else (interval[0] * share, interval[1] * share)
    return Absorption(
        months_of_supply=None,
        months_of_supply_reason="listings_unknown",
        reason=None if covered else "period_too_short",
        sales_last_year=int(counts.sum()) if covered else None,
        sales_per_month=rate,
        sales_per_month_interval=interval,
        parcels=parcels,
        annual_turnover_percent=None if rate is None or share is None else rate * share,
        annual_turnover_interval=turnover,
    )


def _monthly_counts(sales: pl.DataFrame, to_date: date) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Sales of each of the twelve months to the day, the last month first."""
    edges = [_months_before(to_date, number) for number in range(MONTHS + 1)]
    days = sales["sale_date"]
    return np.array([int(((days <= edges[n]) & (days > edges[n + 1])).sum()) for n in range(MONTHS)], dtype=np.float64)


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last day."""
    found = pl.Series([day]).dt.offset_by(f"-{months}mo").item()
    if not isinstance(found, date):
        raise TypeError("a date less some months is a date")
    return found
