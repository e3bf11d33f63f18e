"""What-if factors: by how much the model's values of some parcels are asked to grow."""

from collections.abc import Iterable

from contracts.api.valuation_runs import Selection, ValueFactor


def matches(selection: Selection, *, neighborhood: str | None, use_code: str | None) -> bool:
    """Whether a parcel is among those that are named: in a neighbourhood, and with a code that begins so."""
    if selection.neighborhoods is not None and (neighborhood or "") not in selection.neighborhoods:
        return False
    return selection.use_codes is None or (use_code or "").startswith(tuple(selection.use_codes))


def multiplier(factors: Iterable[ValueFactor], *, neighborhood: str | None, use_code: str | None) -> float:
    """What a parcel's value is multiplied by: 1.04 for +4 %; the factors that match multiply."""
    product = 1.0
    for factor in factors:
        if matches(factor, neighborhood=neighborhood, use_code=use_code):
            product *= 1 + factor.percent / 100
    return product
