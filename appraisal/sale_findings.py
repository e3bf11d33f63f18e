"""What is odd about a sale: a stable reason code, how strongly it speaks, and the figures that explain it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Reason = Literal[
    "price_too_high",
    "price_too_low",
    "deed_type_below_market",
    "flip",
    "several_parcels",
    "bulk",
    "forced_sale",
    "nonmarket_deed",
    "token_price",
    "built_after_sale",
    "repeated_entry",
]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding about one sale; strength is 0.5 where it just begins to speak and 1 where it leaves no doubt."""

    sale_id: str
    reason: Reason
    strength: float
    figures: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The finding as it is kept with its sale."""
        return {"reason": self.reason, "strength": round(self.strength, 3), "figures": dict(self.figures)}


def beyond(limit: float, size: float) -> float:
    """The strength of something that begins to speak at a limit: 0.5 there, 0.75 at twice as much."""
    return 1 - 0.5 * limit / size
