"""A run's values as the lines that are stored, their counts and their digest."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.valuation import queries

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class EncodedValues:
    """CSV of `queries.VALUE_COLUMNS`, and what stands in it: `total_value_usd` in USD, `flags` counted by name."""

    csv: bytes
    valued: int
    flagged: int
    flags: Counter[str]
    total_value_usd: float


def encode_values(rows: Iterable[Mapping[str, Any]]) -> EncodedValues:
    """The lines of finished values, in their order."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    valued, flagged, flags, total_value_usd = 0, 0, Counter[str](), 0.0
    for row in rows:
        known = {**row, "flags": "{" + ",".join(row["flags"]) + "}"}
        known |= {name: _JSON.encode(row[name]) for name in ("contributions", "comparables")}
        lines.writerow([known[name] for name in queries.VALUE_COLUMNS])
        valued += 1
        flagged += bool(row["flags"])
        flags.update(row["flags"])
        total_value_usd += row["value_usd"]
    return EncodedValues(text.getvalue().encode(), valued, flagged, flags, total_value_usd)


class ValueLines:
    """What a run says of all its lines; equal runs have equal digests, however their batches were made."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.valued = 0
        self.flagged = 0
        self.flags: Counter[str] = Counter()
        self.total_value_usd = 0.0

    def add(self, batch: EncodedValues) -> bytes:
        """Count the next batch; answers its lines."""
        self._digest.update(batch.csv)
        self.valued += batch.valued
        self.flagged += batch.flagged
        self.flags.update(batch.flags)
        self.total_value_usd += batch.total_value_usd
        return batch.csv

    @property
    def counts(self) -> dict[str, Any]:
        """The counts, and the digest of the lines in their order."""
        return {
            "parcels_valued": self.valued,
            "parcels_flagged": self.flagged,
            "total_value_usd": round(self.total_value_usd, 2),
            "values_sha256": self._digest.hexdigest(),
        }
