"""What a run tells, on its way to the outbox: page by page, so that it is never all in memory."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from chassis import queries as chassis_queries
from chassis.database import UnitOfWork
from chassis.outbox import OutboxMessage, to_message
from contracts.events.ingest import (
    BatchFact,
    CanonicalFact,
    OwnerBatchChanged,
    OwnerChanged,
    ParcelBatchChanged,
    ParcelFact,
    ParcelRemoved,
    SaleBatchChanged,
    SaleFact,
    SaleRemoved,
)
from services.ingest.domain.envelopes import Run, event_id

HELD_MESSAGES = 2_000
"""So many leave at once after the commit; more are left to the relay's sweeper, which needs no memory for them."""

_BATCHES: dict[str, type[BatchFact]] = {
    "parcel": ParcelBatchChanged,
    "sale": SaleBatchChanged,
    "owner": OwnerBatchChanged,
}


class Outgoing:
    """Messages of one unit of work, in their order."""

    def __init__(self, unit: UnitOfWork) -> None:
        self.unit = unit
        self._held: list[OutboxMessage] | None = []

    async def write(self, messages: Sequence[OutboxMessage]) -> None:
        """Put messages into the outbox, at the latest when `close` is called."""
        if self._held is not None and len(self._held) + len(messages) <= HELD_MESSAGES:
            self._held += messages
            return
        stored, self._held = self._held or [], None
        for part in (stored, messages):
            if part:
                await chassis_queries.insert_outbox(self.unit.connection, part)

    async def take_back(self, ids: Sequence[UUID]) -> None:
        """Remove messages that are to be told in another way."""
        gone = set(ids)
        if self._held is not None:
            self._held = [message for message in self._held if message.id not in gone]
        else:
            await chassis_queries.delete_outbox(self.unit.connection, list(ids))

    async def close(self) -> None:
        """Hand what is held to the unit of work."""
        for message in self._held or ():
            self.unit.publish_message(message)
        self._held = []


class FactBook:
    """The facts of a run; more of a family than `limit` are told of in one event."""

    def __init__(self, outgoing: Outgoing, run: Run, *, limit: int, parts: tuple[str, ...] = ()) -> None:
        """`parts` tell the facts of what is no run of its own from those of the pair's last run."""
        self.outgoing = outgoing
        self.run = run
        self.parts = parts
        self.limit = limit
        self.told: Counter[str] = Counter()
        self.certified_changes = 0
        self._removed: Counter[str] = Counter()
        self._fields: dict[str, Counter[str]] = {family: Counter() for family in _BATCHES}
        self._ids: dict[str, list[UUID]] = {family: [] for family in _BATCHES}

    async def add(self, facts: Sequence[CanonicalFact]) -> None:
        """Tell of facts, or count them where they have become many."""
        for fact in facts:
            self._count(fact)
        for family in _BATCHES:
            if self.told[family] > self.limit and self._ids[family]:
                await self.outgoing.take_back(self._ids[family])
                self._ids[family] = []
        single = [fact for fact in facts if not self.is_batched(fact.family)]
        messages = await asyncio.to_thread(lambda: [self._message(fact) for fact in single])
        for fact, message in zip(single, messages, strict=True):
            self._ids[fact.family].append(message.id)
        await self.outgoing.write(messages)

    async def close(self) -> int:
        """Tell of many in one; returns how many events the facts became."""
        many = [family for family in _BATCHES if self.is_batched(family)]
        for family in many:
            await self.outgoing.write([self._message(self._batch(family))])
        return sum(len(ids) for ids in self._ids.values()) + len(many)

    def is_batched(self, family: str) -> bool:
        """Whether the family's facts are told of in one."""
        return self.told[family] > self.limit

    def _count(self, fact: CanonicalFact) -> None:
        assert isinstance(fact, ParcelFact | SaleFact | OwnerChanged)
        self.told[fact.family] += 1
        self._removed[fact.family] += isinstance(fact, ParcelRemoved | SaleRemoved)
        self._fields[fact.family].update(fact.changed_fields)
        self.certified_changes += isinstance(fact, ParcelFact) and fact.is_certified_year

    def _batch(self, family: str) -> BatchFact:
        certified = {"is_certified_year": self.certified_changes > 0} if family == "parcel" else {}
        return _BATCHES[family](
            county=self.run.county,
            occurred_at=self.run.seen_at,
            pair=self.run.pair.pair,
            operation_id=self.run.operation_id,
            facts=self.told[family],
            removed=self._removed[family],
            tax_year=self.run.working_year,
            changed_fields=dict(sorted(self._fields[family].items())),
            **certified,
        )

    def _message(self, fact: CanonicalFact) -> OutboxMessage:
        return to_message(fact, service=self.outgoing.unit.service, event_id=str(fact_id(self.run, fact, *self.parts)))


def fact_id(run: Run, fact: CanonicalFact, *parts: str) -> UUID:
    """The id of a fact of a run: one of each kind for each subject, and layer."""
    layer = (str(fact.tax_year), fact.layer) if isinstance(fact, ParcelFact) and fact.layer != "working" else ()
    return event_id(run, fact.family, fact.fact, fact.subject_id, *layer, *parts)
