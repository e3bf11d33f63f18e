"""What a pair says of parcels and owners that another pair makes, and the record with what all pairs say of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import polars as pl

from contracts.mapping import Link, Pair, Together
from services.ingest.domain.entities import Frames, linked
from services.ingest.domain.ownership import GEOMETRY, Contradiction, Decision, Rules, Said, merge

PLACE = ("geometry_wkb", "srid", "west", "south", "east", "north", "longitude", "latitude")
PARCEL, OWNER = "parcel", "owner"
_ATTRIBUTE = "attributes."


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a pair says of a parcel or an owner; `key` is its own id of it, `matches` is found in the record."""

    entity: str
    key: str
    matches: str
    fields: Mapping[str, Any]
    is_echo: bool = False

    @property
    def digest(self) -> str:
        """Moves with every change of it."""
        text = json.dumps([self.matches, self.fields, self.is_echo], sort_keys=True)
        return blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Subject:
    """A parcel or an owner of the record that a contradiction is about."""

    entity: str
    id: str


Contradictions = dict[Subject, tuple[Contradiction, ...]]


def contributions(pair: Pair, rows: Frames, parcels: pl.DataFrame, owners: pl.DataFrame) -> list[Contribution]:
    """What the assembled parcels and owners of a contributing pair say."""
    echoes = echoed(pair, rows)
    found = []
    names = said_fields(pair)
    for row in parcels.iter_rows(named=True):
        key = row["parcel_id"]
        matches = pair.match.spelt(key)
        found.append(Contribution(PARCEL, key, matches, parcel_fields(row, names), key in echoes))
    if pair.entities.owner is not None:
        mapped = [str(name) for name in pair.entities.owner.fields]
        for row in owners.iter_rows(named=True):
            key, owner = row["parcel_id"], row["owner_id"]
            said = {f"owner.{name}": row[name] for name in mapped}
            found.append(Contribution(OWNER, f"{key}/{owner}", f"{pair.match.spelt(key)}/{owner}", said, key in echoes))
    return found


def said_fields(pair: Pair) -> list[str]:
    """The fields of parcels that a pair says; with a polygon comes its place."""
    names = sorted(name for name in pair.mapped_fields if not name.startswith("owner.") and name != "inactive_date")
    has_polygon = GEOMETRY in names
    return [name for name in names if not (has_polygon and name in {"longitude", "latitude"})]


def parcel_fields(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Fields of an assembled parcel by name."""
    attributes = json.loads(row["attributes"]) if row["attributes"] else {}
    found: dict[str, Any] = {}
    for name in names:
        if name == GEOMETRY:
            found[name] = {column: row[column] for column in PLACE} if row["geometry_wkb"] is not None else None
        elif name.startswith(_ATTRIBUTE):
            found[name] = attributes.get(name.removeprefix(_ATTRIBUTE))
        else:
            found[name] = row[name]
    return found


def echoed(pair: Pair, rows: Frames) -> set[str]:
    """Parcels whose row TerraFusion's own values were written to."""
    root = pair.table_by_name[pair.entities.parcel.root]
    if root.origin is None:
        return set()
    is_ours = pl.col(root.origin.column).cast(pl.String).is_in(list(root.origin.ours))
    return set(linked(root, rows[root.name]).filter(is_ours)[Link.PARCEL_ID].drop_nulls().to_list())


def confidential_owners(pair: Pair, rows: Frames) -> set[str]:
    """Owners whose name and address stay out of the record, whoever says them."""
    confidential = pair.entities.owner.confidential if pair.entities.owner else None
    if confidential is None:
        return set()
    table, _, column = confidential.column.partition(".")
    hidden = linked(pair.table_by_name[table], rows[table]).filter(pl.col(column).is_in(list(confidential.values)))
    return set(hidden[Link.OWNER_ID].drop_nulls().to_list())


def match_value(pair: Pair, row: Mapping[str, Any]) -> str | None:
    """What a pair knows a parcel of the record by."""
    value = row[pair.match.parcel]
    return None if value is None else pair.match.spelt(value)


class Merging:
    """Merges what contributing pairs say into the parcels and owners that the primary pair makes."""

    def __init__(
        self,
        primary: Pair,
        together: Together,
        said: Mapping[tuple[str, str, str], Said],
        decisions: Mapping[Subject, Mapping[str, Decision]],
    ) -> None:
        """`said` by pair, entity and what it matches."""
        self.primary, self.together, self.said, self.decisions = primary, together, said, decisions
        self.rules = Rules(tuple(pair.pair for pair in together.pairs), together.ownership, together.tolerances)
        self.names = said_fields(primary)
        self.contradictions: Contradictions = {}

    def parcels(self, parcels: pl.DataFrame) -> pl.DataFrame:
        """The working layers with what all pairs say of them; other layers are the primary pair's alone."""
        changes: dict[str, dict[int, Any]] = {}
        for place, row in enumerate(parcels.iter_rows(named=True)):
            said = self._of(PARCEL, row) if row["is_current"] else []
            if said:
                fields = parcel_fields(row, self.names)
                values = self._merge(Subject(PARCEL, row["parcel_id"]), fields, said)
                for column, value in _columns(row, fields, values).items():
                    changes.setdefault(column, {})[place] = value
        return _changed(parcels, changes)

    def owners(self, owners: pl.DataFrame, parcels: pl.DataFrame, *, hidden: set[str]) -> pl.DataFrame:
        """The owners with what all pairs say of them."""
        by_id = {row["parcel_id"]: row for row in parcels.iter_rows(named=True) if row["is_current"]}
        mapped = [str(name) for name in self.primary.entities.owner.fields] if self.primary.entities.owner else []
        changes: dict[str, dict[int, Any]] = {}
        for place, row in enumerate(owners.iter_rows(named=True)):
            parcel = by_id.get(row["parcel_id"])
            said = self._of(OWNER, parcel, row["owner_id"]) if parcel is not None else []
            if not said or row["owner_id"] in hidden:
                continue
            fields = {f"owner.{name}": row[name] for name in mapped}
            subject = Subject(OWNER, f"{row['parcel_id']}/{row['owner_id']}")
            for name, value in self._merge(subject, fields, said).items():
                changes.setdefault(name.removeprefix("owner."), {})[place] = value
        return _changed(owners, changes)

    def _of(self, entity: str, parcel: Mapping[str, Any], owner: str | None = None) -> list[Said]:
        found = []
        for pair in self.together.contributing:
            value = match_value(pair, parcel)
            matches = value if owner is None else f"{value}/{owner}"
            said = self.said.get((pair.pair, entity, matches)) if value is not None and matches is not None else None
            if said is not None:
                found.append(said)
        return found

    def _merge(self, subject: Subject, fields: Mapping[str, Any], said: Sequence[Said]) -> Mapping[str, Any]:
        everything = [Said(self.primary.pair, fields), *said]
        merged = merge(self.rules, everything, self.decisions.get(subject, {}))
        if merged.contradictions:
            self.contradictions[subject] = merged.contradictions
        return merged.values


def _columns(row: Mapping[str, Any], before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a parcel that are otherwise by these values; a polygon's come last, as it says the place too."""
    found: dict[str, Any] = {}
    document: dict[str, Any] | None = None
    for name, value in sorted(values.items(), key=lambda item: item[0] == GEOMETRY):
        if name in before and before[name] == value:
            continue
        if name == GEOMETRY:
            found |= dict.fromkeys(PLACE[:6]) if value is None else dict(value)
        elif name.startswith(_ATTRIBUTE):
            document = document if document is not None else json.loads(row["attributes"] or "{}")
            document[name.removeprefix(_ATTRIBUTE)] = value
        else:
            found[name] = value
    return found if document is None else found | {"attributes": json.dumps(document)}


def _changed(frame: pl.DataFrame, changes: Mapping[str, Mapping[int, Any]]) -> pl.DataFrame:
    made = []
    for name, values in changes.items():
        column = frame[name]
        listed = column.to_list()
        for place, value in values.items():
            listed[place] = value
        made.append(pl.Series(name, listed, dtype=column.dtype))
    return frame.with_columns(made)
