"""Which values are outside what is plausible, so that a person looks at them."""

from contracts.api.valuation_runs import ReviewFlag, ReviewLimits


def flags(
    value_usd: float,
    *,
    prior_usd: float | None,
    interval_usd: tuple[float, float],
    is_capped: bool,
    limits: ReviewLimits,
) -> list[ReviewFlag]:
    """What is odd about a value: far from the prior one, an interval too wide to mean much, or moved by a cap."""
    low_usd, high_usd = interval_usd
    found: list[ReviewFlag] = []
    if prior_usd and abs(value_usd - prior_usd) > prior_usd * limits.change_percent / 100:
        found.append("change_too_large")
    if high_usd - low_usd > value_usd * limits.interval_percent / 100:
        found.append("interval_wide")
    if not low_usd <= value_usd <= high_usd:
        found.append("outside_interval")
    if is_capped:
        found.append("capped")
    return found
