"""From the model's values to a run's: factors, caps, flags; whatever was added to a value stands among its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.api.valuation_runs import PriorBasis, ReviewLimits, ValueCap, ValueFactor
from services.valuation.domain.caps import capped
from services.valuation.domain.factors import multiplier
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.review import flags

FACTOR_LINE, CAP_LINE = "what_if_factor", "cap"
LARGEST_USD = 1e12  # of any amount in the record


@dataclass(frozen=True, slots=True)
class Standing:
    """What the record says of a parcel when it is valued."""

    neighborhood: str | None = None
    use_code: str | None = None
    prior_usd: float | None = None


@dataclass(frozen=True)
class RunRules:
    """What the model's values are put through."""

    factors: Sequence[ValueFactor] = ()
    caps: Sequence[ValueCap] = ()
    review: ReviewLimits = field(default_factory=ReviewLimits)


def choose_basis(asked: PriorBasis | None, *, has_prior_year: bool) -> PriorBasis:
    """What values are laid beside: what was asked, else the year before where the scope has such values."""
    return asked or ("prior_year" if has_prior_year else "roll")


def prior_usd(
    basis: PriorBasis, *, run_year: int, layer_year: int, total_usd: float | None, prior_year_usd: float | None
) -> float | None:
    """A parcel's prior value; the record's layer of an earlier year is itself the prior one. 0 stands for unknown."""
    of_year_before = basis == "prior_year" and layer_year >= run_year
    return (prior_year_usd if of_year_before else total_usd) or None


def finish(row: Mapping[str, Any], standing: Standing, rules: RunRules) -> dict[str, Any]:
    """A run's row from the model's: value after factors and caps, its parts and interval, flags.

    Land keeps its share. The interval follows the factors and not the caps, which are law and no estimate.
    Refuses (`value_too_large`) factors that leave no amount of money.
    """
    place = {"neighborhood": standing.neighborhood, "use_code": standing.use_code}
    by = multiplier(rules.factors, **place)
    model_usd = row["value_usd"]
    uncapped_usd = model_usd if by == 1.0 else round(model_usd * by, 2)
    value_usd = capped(uncapped_usd, standing.prior_usd, rules.caps, **place)
    interval = (row["low_usd"], row["high_usd"]) if by == 1.0 else _scaled(row, by)
    if max(uncapped_usd, interval[1]) >= LARGEST_USD:
        raise ValuationRefusedError("value_too_large", f"factors multiply a value by {by:g}", {"multiplier": f"{by:g}"})
    return {
        **row,
        **place,
        "value_usd": value_usd,
        "low_usd": interval[0],
        "high_usd": interval[1],
        **_parts(row, value_usd),
        "contributions": _contributions(row["contributions"], model_usd, uncapped_usd, value_usd),
        "prior_value_usd": standing.prior_usd,
        "model_value_usd": model_usd,
        "uncapped_value_usd": uncapped_usd,
        "flags": flags(
            value_usd,
            prior_usd=standing.prior_usd,
            interval_usd=interval,
            is_capped=value_usd != uncapped_usd,
            limits=rules.review,
        ),
    }


def _scaled(row: Mapping[str, Any], by: float) -> tuple[float, float]:
    return round(row["low_usd"] * by, 2), round(row["high_usd"] * by, 2)


def _parts(row: Mapping[str, Any], value_usd: float) -> dict[str, float | None]:
    land_usd, model_usd = row["land_value_usd"], row["value_usd"]
    if land_usd is None or value_usd == model_usd:
        return {name: row[name] for name in ("land_value_usd", "improvement_value_usd")}
    kept = round(land_usd * value_usd / model_usd, 2) if model_usd else 0.0
    return {"land_value_usd": kept, "improvement_value_usd": round(value_usd - kept, 2)}


def _contributions(
    said: Mapping[str, float], model_usd: float, uncapped_usd: float, value_usd: float
) -> dict[str, float]:
    lines = {FACTOR_LINE: round(uncapped_usd - model_usd, 2), CAP_LINE: round(value_usd - uncapped_usd, 2)}
    return {**said, **{name: usd for name, usd in lines.items() if usd}}
