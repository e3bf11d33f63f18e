"""A subscriber's copy of the source, made of nothing but the change envelopes that were published."""

import json
from dataclasses import dataclass, field
from typing import Any

from contracts.events.ingest import KEY_HEADER
from tests.support.sync_jobs import SyncBench


@dataclass
class Replica:
    """Rows by table and key, as the envelopes tell of them in their order."""

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    async def hear(self, bench: SyncBench) -> None:
        """Takes what the outbox holds; an envelope whose `before` is not the row that is known is a fault."""
        for row in await bench.fetch("SELECT * FROM chassis.outbox WHERE subject LIKE 'cdc.%' ORDER BY position"):
            headers = row["headers"] if isinstance(row["headers"], dict) else json.loads(row["headers"])
            self.take(json.loads(row["body"]), key=headers[KEY_HEADER])

    def of(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table, in an order."""
        return sorted(self.rows.get(table, {}).values(), key=lambda row: json.dumps(row, sort_keys=True, default=str))

    def take(self, envelope: dict[str, Any], *, key: str) -> None:
        """Takes one envelope."""
        table, op = envelope["source"]["table"], envelope["op"]
        known = self.rows.setdefault(table, {})
        before, after = envelope["before"], envelope["after"]
        if known.get(key) != before:
            self.faults.append(f"{op} {table} {key}: before is {before}, known is {known.get(key)}")
        if (op in {"c", "r"}) != (before is None) or (op == "d") != (after is None):
            self.faults.append(f"{op} {table} {key}: before {before}, after {after}")
        if after is None:
            known.pop(key, None)
        else:
            known[key] = after
