"""A person's value of a parcel beside the model's."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Value:
    """A value in USD with its parts; parts that are not known are null."""

    value_usd: Decimal
    land_value_usd: Decimal | None = None

    @property
    def improvement_value_usd(self) -> Decimal | None:
        """What is not land."""
        return None if self.land_value_usd is None else self.value_usd - self.land_value_usd


def effective(model: Value | None, override: Value | None) -> Value | None:
    """The value that counts: the person's where there is one, with the model's share of land unless they said it."""
    if override is None:
        return model
    if override.land_value_usd is not None or model is None or model.land_value_usd is None or not model.value_usd:
        return override
    share = model.land_value_usd / model.value_usd
    return Value(override.value_usd, (override.value_usd * share).quantize(Decimal("0.01")))
