"""Whether a sale counts: by the county's rule, else by a person's decision, else by statistics as the county says.

One rule for values, market studies and ratio studies.
"""

from collections.abc import Collection
from typing import Literal

import polars as pl

SaleDecision = Literal["valid", "invalid", "needs_more"]
"""What a person says of a sale; `needs_more` leaves it as it was, and in the queue."""

DECISION = "decision"
STATISTICS_REASON = "statistics_reason"


def decided_reasons(columns: Collection[str]) -> dict[str, pl.Expr]:
    """Why a person or the county takes a sale out, in this order; empty without the columns that would say it.

    A person's decision stands above the county's code: `invalid_by_review` takes a sale out, `valid` lets it
    in. Undecided, it is `not_qualified` by the county's code (also where that is not known).
    """
    decided = pl.col(DECISION) if DECISION in columns else pl.lit(None, dtype=pl.String)
    reasons: dict[str, pl.Expr] = {}
    if DECISION in columns:
        reasons["invalid_by_review"] = decided.eq_missing("invalid")
    if "is_qualified" in columns:
        reasons["not_qualified"] = ~pl.col("is_qualified").fill_null(value=False) & decided.ne_missing("valid")
    return reasons


def statistics_reason(columns: Collection[str]) -> pl.Expr:
    """Why statistics take a sale out that no person called valid, or null.

    The column `statistics_reason` holds the reason of a finding that the county lets decide by itself.
    """
    if STATISTICS_REASON not in columns:
        return pl.lit(None, dtype=pl.String)
    decided = pl.col(DECISION).eq_missing("valid") if DECISION in columns else pl.lit(value=False)
    return pl.when(~decided).then(pl.col(STATISTICS_REASON))
