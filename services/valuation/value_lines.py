"""A run's values as the lines that are stored, their counts and their digest."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from services.valuation import queries

_DOCUMENTS = frozenset({"contributions", "comparables"})
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class EncodedValues:
    """Lines of `queries.VALUE_COLUMNS`, and what stands in them: `total_cents` of all values, `flags` by name.

    The lines are as PostgreSQL's COPY takes them in its text format, which is quicker both ways than CSV.
    """

    lines: bytes
    valued: int
    flagged: int
    flags: Counter[str]
    total_cents: int


def encode_values(rows: Iterable[Mapping[str, Any]]) -> EncodedValues:
    """The lines of finished values, in their order; comparables have their names in alphabetical order already."""
    lines: list[str] = []
    flagged, flags, total_cents = 0, Counter[str](), 0
    for row in rows:
        lines.append("\t".join([_field(name, row[name]) for name in queries.VALUE_COLUMNS]))
        flagged += bool(row["flags"])
        flags.update(row["flags"])
        total_cents += round(100 * row["value_usd"])
    text = "".join(f"{line}\n" for line in lines)
    return EncodedValues(text.encode(), len(lines), flagged, flags, total_cents)


def _field(name: str, value: Any) -> str:
    """A column of a line: documents as JSON, flags as an array of texts."""
    if value is None:
        return "\\N"
    if name == "contributions":
        value = dict(sorted(value.items()))
    if name in _DOCUMENTS:
        return to_json(value).decode().replace("\\", "\\\\")
    if name == "flags":
        return "{" + ",".join(value) + "}"
    return value.translate(_ESCAPED) if isinstance(value, str) else str(value)


class ValueLines:
    """What a run says of all its lines; equal runs have equal digests, however their batches were made."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.valued = 0
        self.flagged = 0
        self.flags: Counter[str] = Counter()
        self.total_cents = 0

    def add(self, batch: EncodedValues) -> bytes:
        """Count the next batch; answers its lines."""
        self._digest.update(batch.lines)
        self.valued += batch.valued
        self.flagged += batch.flagged
        self.flags.update(batch.flags)
        self.total_cents += batch.total_cents
        return batch.lines

    @property
    def counts(self) -> dict[str, Any]:
        """The counts, and the digest of the lines in their order."""
        return {
            "parcels_valued": self.valued,
            "parcels_flagged": self.flagged,
            "total_value_usd": self.total_cents / 100,
            "values_sha256": self._digest.hexdigest(),
        }
