"""Two runs side by side: how many values differ, by how much, where, and what the largest changes are made of."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from contracts.api.valuation_runs import ChangeReason, ChangeSummary, Mover
from services.valuation.domain.runs import CAP_LINE, FACTOR_LINE

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)
EDGES_PERCENT = (-50, -25, -10, -5, -1, 1, 5, 10, 25, 50)
NOT_KNOWN = "(none)"
#: columns of the frame that runs are compared by: a null value is that of a run which has not the parcel
SCHEMA = {
    "parcel_id": pl.String,
    "neighborhood": pl.String,
    "use_code": pl.String,
    "value_usd": pl.Float64,
    "other_value_usd": pl.Float64,
}


def in_both(frame: pl.DataFrame) -> pl.DataFrame:
    """The parcels that both runs value, in whole cents, with their change."""
    cents = {name: (pl.col(f"{name}_usd") * 100).round().cast(pl.Int64) for name in ("value", "other_value")}
    both = frame.drop_nulls(["value_usd", "other_value_usd"]).with_columns(**cents)
    return both.with_columns(
        change=pl.col("other_value") - pl.col("value"),
        percent=pl.when(pl.col("value") > 0).then((pl.col("other_value") / pl.col("value") - 1) * 100),
    )


def summarize(both: pl.DataFrame) -> ChangeSummary:
    """How the values of these parcels differ; sums are exact to the cent."""
    first, other = int(both["value"].sum()), int(both["other_value"].sum())
    median = both["percent"].median()
    return ChangeSummary(
        parcels=both.height,
        increased=int((both["change"] > 0).sum()),
        decreased=int((both["change"] < 0).sum()),
        unchanged=int((both["change"] == 0).sum()),
        total_usd=first / 100,
        other_total_usd=other / 100,
        change_usd=(other - first) / 100,
        change_percent=round((other / first - 1) * 100, 4) if first else None,
        median_change_percent=round(float(median), 4) if isinstance(median, int | float) else None,
    )


def by(both: pl.DataFrame, name: str) -> dict[str, ChangeSummary]:
    """The summary of each neighbourhood or use code; every parcel is in one of them."""
    groups = both.with_columns(pl.col(name).fill_null(NOT_KNOWN)).partition_by(name, as_dict=True)
    return {str(key[0]): summarize(group) for key, group in sorted(groups.items(), key=lambda item: str(item[0][0]))}


def percentiles(both: pl.DataFrame) -> dict[str, float]:
    """The distribution of the change in percent; empty where nothing can be compared."""
    percent = both["percent"].drop_nulls()
    if not len(percent):
        return {}
    found = {p: percent.quantile(p / 100, "linear") for p in PERCENTILES}
    return {f"p{p:02d}": round(value, 4) for p, value in found.items() if value is not None}


def histogram(both: pl.DataFrame) -> dict[str, int]:
    """Parcels by change in percent; a parcel at an edge is in the class above it."""
    percent = both["percent"].drop_nulls()
    edges = [float("-inf"), *EDGES_PERCENT, float("inf")]
    names = [f"below {EDGES_PERCENT[0]}"]
    names += [f"{low} to {high}" for low, high in pairwise(EDGES_PERCENT)]
    names += [f"from {EDGES_PERCENT[-1]}"]
    classes = zip(names, pairwise(edges), strict=True)
    return {name: int(((percent >= low) & (percent < high)).sum()) for name, (low, high) in classes}


def largest(both: pl.DataFrame, count: int) -> pl.DataFrame:
    """The parcels whose values differ most, by dollars; of equals the lower id first."""
    moved = both.filter(pl.col("change") != 0)
    return moved.sort(pl.col("change").abs(), pl.col("parcel_id"), descending=[True, False]).head(count)


def mover(row: Mapping[str, Any], first: Mapping[str, float], other: Mapping[str, float], *, same_model: bool) -> Mover:
    """A parcel that moved, with what its change is made of."""
    return Mover(
        parcel_id=row["parcel_id"],
        neighborhood=row["neighborhood"],
        use_code=row["use_code"],
        value_usd=row["value"] / 100,
        other_value_usd=row["other_value"] / 100,
        change_usd=row["change"] / 100,
        change_percent=None if row["percent"] is None else round(row["percent"], 4),
        reasons=reasons(first, other, change_cents=row["change"], same_model=same_model),
    )


def reasons(
    first: Mapping[str, float], other: Mapping[str, float], *, change_cents: int, same_model: bool
) -> list[ChangeReason]:
    """The differences of what makes up two values, the largest first; they add up to the change, to the cent.

    Parts of different models cannot be laid beside each other: their difference is one reason, `model`.
    """
    ours = (FACTOR_LINE, CAP_LINE)
    names = sorted({*first, *other}) if same_model else [*ours]
    cents = {name: round((other.get(name, 0.0) - first.get(name, 0.0)) * 100) for name in names}
    rest = change_cents - sum(cents.values())
    cents["rounding" if same_model else "model"] = rest
    known = sorted(((name, value) for name, value in cents.items() if value), key=lambda item: (-abs(item[1]), item[0]))
    return [ChangeReason(name=name, change_usd=value / 100) for name, value in known]
