"""Two systems laid beside each other, field by field: how much they differ, and where."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.ingest.domain import fields
from services.ingest.domain.ownership import agree

EXAMPLES = 10
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a parcel that two systems say differently."""

    parcel_id: str
    field: str
    left: Any
    right: Any


@dataclass
class FieldCount:
    """What the comparison of a field came to, of every parcel that both have: compared = equal + differing.

    Of the equal ones `empty` are those of which neither says anything; `difference_sum` is right less left, of numbers.
    """

    compared: int = 0
    equal: int = 0
    empty: int = 0
    differing: int = 0
    only_left: int = 0
    only_right: int = 0
    difference_sum: Decimal | None = None
    examples: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; sums exact, as texts."""
        found = dict(vars(self))
        found["difference_sum"] = None if self.difference_sum is None else format(self.difference_sum, "f")
        return found


class Comparison:
    """Counts parcel by parcel; nothing that a person is known by is among the fields."""

    def __init__(self, names: Sequence[str], tolerances: Mapping[str, float]) -> None:
        self.tolerances = tolerances
        self.fields = {name: FieldCount() for name in names}
        self.parcels = {"compared": 0, "equal": 0, "differing": 0, "only_left": 0, "only_right": 0}

    def add(self, rows: Iterable[tuple[str, Values | None, Values | None]]) -> list[Difference]:
        """Compare parcels that both have, and count those that one lacks; returns what differs."""
        found: list[Difference] = []
        for parcel_id, left, right in rows:
            if left is None or right is None:
                self.parcels["only_right" if left is None else "only_left"] += 1
                continue
            differences = [
                Difference(parcel_id, name, left.get(name), right.get(name))
                for name, count in self.fields.items()
                if not self._count(name, count, parcel_id, left.get(name), right.get(name))
            ]
            self.parcels["compared"] += 1
            self.parcels["differing" if differences else "equal"] += 1
            found += differences
        return found

    def summary(self) -> dict[str, Any]:
        """As the report has it."""
        return {"parcels": self.parcels, "fields": {name: count.to_dict() for name, count in self.fields.items()}}

    def _count(self, name: str, count: FieldCount, parcel_id: str, left: Any, right: Any) -> bool:
        """Whether the two say the same, or both nothing."""
        count.compared += 1
        if left is None and right is None:
            count.equal += 1
            count.empty += 1
            return True
        is_number = fields.PARCEL.get(name) in {fields.MONEY, fields.NUMBER} and left is not None and right is not None
        if left is not None and right is not None and agree(left, right, self.tolerances.get(name, 0)):
            count.equal += 1
            return True
        count.differing += 1
        count.only_left += right is None
        count.only_right += left is None
        if is_number:
            difference = Decimal(str(right)) - Decimal(str(left))
            count.difference_sum = (count.difference_sum or Decimal()) + difference
        if len(count.examples) < EXAMPLES:
            count.examples.append(parcel_id)
        return False


def compared_fields(names: Iterable[str], personal: Iterable[str], others: Iterable[str] | None) -> list[str]:
    """The fields that both say, without what is personal; `others` null: the record, which has a place for all."""
    said = set(names) if others is None else set(names) & set(others)
    return sorted(said - set(personal))
