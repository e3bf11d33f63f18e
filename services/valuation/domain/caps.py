"""Year-over-year limits: how far a value may be from the prior one."""

from collections.abc import Iterable

from contracts.api.valuation_runs import ValueCap
from services.valuation.domain.factors import matches


def capped(
    value_usd: float,
    prior_usd: float | None,
    caps: Iterable[ValueCap],
    *,
    neighborhood: str | None,
    use_code: str | None,
) -> float:
    """The value within the first cap that matches, to the cent; without a prior value there is nothing to limit."""
    if not prior_usd:
        return value_usd
    cap = next((cap for cap in caps if matches(cap, neighborhood=neighborhood, use_code=use_code)), None)
    if cap is None:
        return value_usd
    if cap.increase_percent is not None:
        value_usd = min(value_usd, round(prior_usd * (1 + cap.increase_percent / 100), 2))
    if cap.decrease_percent is not None:
        value_usd = max(value_usd, round(prior_usd * (1 - cap.decrease_percent / 100), 2))
    return value_usd
