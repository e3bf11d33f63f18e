"""What contributing pairs say, laid over the parcels of a batch; contradictions become conflicts that a person ends."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import polars as pl

from chassis.outbox import to_message
from contracts.events.ingest import SyncConflictFound
from contracts.mapping import Pair, Together
from services.ingest.domain.contributions import (
    OWNER,
    PARCEL,
    Contradictions,
    Merging,
    Subject,
    confidential_owners,
    match_value,
)
from services.ingest.domain.entities import Frames
from services.ingest.domain.envelopes import Run, event_id
from services.ingest.domain.ownership import Contradiction, Decision, Said
from services.ingest.record import contribution_queries as queries
from services.ingest.record.outgoing import Outgoing

TOLD_CONFLICTS = 1_000
"""So many conflicts of a run are told of one by one; all of them stand in the list."""


class Merger:
    """Merges batch by batch; where no pair contributes, it does nothing."""

    def __init__(
        self, outgoing: Outgoing, run: Run, primary: Pair, together: Together, *, parts: tuple[str, ...] = ()
    ) -> None:
        self.outgoing, self.run, self.primary, self.together, self.parts = outgoing, run, primary, together, parts
        self.connection = outgoing.unit.connection
        self.found = 0
        self.told = 0
        self.contradictions: Contradictions = {}

    @property
    def is_needed(self) -> bool:
        """Whether other pairs say something of this one's parcels."""
        return self.primary.role == "primary" and bool(self.together.contributing)

    async def merge(
        self, parcels: pl.DataFrame, owners: pl.DataFrame, rows: Frames, *, ids: Sequence[str]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The batch's parcels and owners with what all pairs say of them."""
        if not self.is_needed:
            return parcels, owners
        said = await self._said(parcels, owners)
        decisions = await self._decisions(ids)

        def merged() -> tuple[pl.DataFrame, pl.DataFrame, Contradictions]:
            work = Merging(self.primary, self.together, said, decisions)
            hidden = confidential_owners(self.primary, rows)
            made = work.parcels(parcels), work.owners(owners, parcels, hidden=hidden)
            return *made, work.contradictions

        *made, self.contradictions = await asyncio.to_thread(merged)
        return made[0], made[1]

    async def save(self, ids: Sequence[str]) -> None:
        """Open conflicts for the batch's contradictions, and close those that are none any more."""
        if not self.is_needed:
            return
        standing = {
            (Subject(row["entity"], row["entity_id"]), row["field"]): row
            for row in await queries.open_conflicts(self.connection, self.run.county, ids)
        }
        for subject, contradictions in self.contradictions.items():
            for contradiction in contradictions:
                row = standing.pop((subject, contradiction.field), None)
                await self._open(subject, contradiction, row)
        settled = [row["id"] for row in standing.values()]
        if settled:
            await queries.settle_conflicts(self.connection, self.run.county, settled)

    async def _said(self, parcels: pl.DataFrame, owners: pl.DataFrame) -> dict[tuple[str, str, str], Said]:
        """What the pairs say of the batch, by pair, entity and what it matches."""
        ids = parcels.filter("is_current").select("parcel_id", "parcel_number")
        current = {row["parcel_id"]: row for row in ids.iter_rows(named=True)}
        wanted: dict[str, set[str]] = {PARCEL: set(), OWNER: set()}
        owned = owners.select("parcel_id", "owner_id").rows()
        for pair in self.together.contributing:
            known = {key: value for key, row in current.items() if (value := match_value(pair, row)) is not None}
            wanted[PARCEL].update(known.values())
            wanted[OWNER].update(f"{known[parcel]}/{owner}" for parcel, owner in owned if parcel in known)
        names = [pair.pair for pair in self.together.contributing]
        found: dict[tuple[str, str, str], Said] = {}
        for entity, matches in wanted.items():
            rows = await queries.read_said(self.connection, self.run.county, names, entity=entity, matches=matches)
            for row in rows:  # of several parcels of a pair that match one of the record, the first by its own id
                said = Said(row["pair"], row["fields"], is_echo=row["origin"] is not None)
                found.setdefault((row["pair"], entity, row["matches"]), said)
        return found

    async def _decisions(self, ids: Sequence[str]) -> dict[Subject, dict[str, Decision]]:
        found: dict[Subject, dict[str, Decision]] = {}
        for row in await queries.decided_conflicts(self.connection, self.run.county, ids):
            decision = Decision(row["choice"], by_pair(row["candidates"]))
            found.setdefault(Subject(row["entity"], row["entity_id"]), {})[row["field"]] = decision
        return found

    async def _open(self, subject: Subject, contradiction: Contradiction, row: queries.Row | None) -> None:
        candidates = [{"pair": pair, "value": value} for pair, value in contradiction.candidates.items()]
        if row is not None:
            if by_pair(row["candidates"]) != dict(contradiction.candidates):
                await queries.change_conflict(self.connection, self.run.county, row["id"], candidates)
            return
        parts = ("conflict", subject.entity, subject.id, contradiction.field, *self.parts)
        identity = event_id(self.run, *parts)
        await queries.open_conflict(
            self.connection, self.run.county, identity, entity=subject.entity, entity_id=subject.id,
            field=contradiction.field, candidates=candidates, operation_id=self.run.operation_id,
        )  # fmt: skip
        self.found += 1
        if self.told < TOLD_CONFLICTS:
            self.told += 1
            await self._tell(subject, contradiction, identity)

    async def _tell(self, subject: Subject, contradiction: Contradiction, identity: UUID) -> None:
        run = self.run
        fact = SyncConflictFound(
            county=run.county, pair=run.pair.pair, operation_id=run.operation_id, occurred_at=run.seen_at,
            conflict_id=identity, entity=subject.entity, entity_id=subject.id, field=contradiction.field,
            pairs=tuple(contradiction.candidates),
        )  # fmt: skip
        await self.outgoing.write([to_message(fact, service=self.outgoing.unit.service, event_id=str(identity))])


def by_pair(candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What each pair said, as a conflict keeps it."""
    return {candidate["pair"]: candidate["value"] for candidate in candidates}
