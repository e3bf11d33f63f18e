"""Whose word counts where several systems say the same field: the owner's; else all have to agree, or a person decides.

The result does not depend on which system was read first: statements are ordered by the mapping alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

GEOMETRY = "geometry"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the mapping says of a county's pairs; `order` has the primary pair first."""

    order: tuple[str, ...]
    ownership: Mapping[str, str] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """What one pair says of one parcel or owner; an echo is a row that TerraFusion's own values were written to."""

    pair: str
    fields: Mapping[str, Any]
    is_echo: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person chose, and between what: it stands until one of the candidates says something else."""

    choice: str
    candidates: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A field that pairs say differently, with what each says as it is shown to a person."""

    field: str
    candidates: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Merged:
    """The values that stand, by field, and what is contradicted and not decided."""

    values: Mapping[str, Any]
    contradictions: tuple[Contradiction, ...]


def merge(rules: Rules, said: Sequence[Said], decisions: Mapping[str, Decision]) -> Merged:
    """One parcel or owner out of what all pairs say of it.

    Null says nothing, except from a field's owner, whose word is the last where it knows the parcel at all. An echo
    counts where nobody else says anything, and contradicts nobody.
    """
    place = {pair: number for number, pair in enumerate(rules.order)}
    ordered = sorted(said, key=lambda one: (place.get(one.pair, len(place)), one.pair))
    names = dict.fromkeys(name for one in ordered for name in sorted(one.fields))
    values: dict[str, Any] = {}
    found = []
    for name in names:
        values[name], candidates = _judge(rules, name, ordered, decisions.get(name))
        if candidates:
            found.append(Contradiction(name, candidates))
    return Merged(values, tuple(found))


def _judge(
    rules: Rules, name: str, ordered: Sequence[Said], decision: Decision | None
) -> tuple[Any, Mapping[str, Any]]:
    """The value that stands, and the candidates where that is not settled."""
    heard = [one for one in ordered if name in one.fields]
    owner = next((one for one in heard if one.pair == rules.ownership.get(name)), None)
    if owner is not None:
        return owner.fields[name], {}
    words = [one for one in heard if one.fields[name] is not None]
    own = [one for one in words if not one.is_echo]
    if not own:
        return (words[0].fields[name] if words else None), {}
    standing = own[0].fields[name]
    tolerance = rules.tolerances.get(name, 0)
    if all(agree(standing, one.fields[name], tolerance) for one in own):
        return standing, {}
    candidates = {one.pair: shown(name, one.fields[name]) for one in own}
    if decision is not None and decision.choice in candidates and dict(decision.candidates) == candidates:
        return next(one.fields[name] for one in own if one.pair == decision.choice), {}
    return standing, candidates


def agree(one: Any, other: Any, tolerance: float = 0) -> bool:
    """Whether two values say the same; numbers also where they differ by no more than the tolerance."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= tolerance
    return bool(one == other)


def shown(name: str, value: Any) -> Any:
    """A value as a person chooses by it: of a polygon which one it is and where."""
    if name != GEOMETRY or not isinstance(value, Mapping):
        return value
    digest = blake2b(str(value["geometry_wkb"]).encode(), digest_size=6).hexdigest()
    return f"polygon {digest} at {value['longitude']:.6f}, {value['latitude']:.6f}"
