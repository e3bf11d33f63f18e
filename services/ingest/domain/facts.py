"""Canonical facts out of rows that differ: one for each domain change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from contracts.events.ingest import (
    CanonicalFact,
    OwnerChanged,
    ParcelChanged,
    ParcelRemoved,
    SaleChanged,
    SaleRecorded,
    SaleRemoved,
)
from contracts.pairs import OURS

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What every fact of one operation says."""

    county: str
    pair: str
    operation_id: UUID
    occurred_at: datetime
    ours: frozenset[str] = frozenset()
    """Parcels that nothing but TerraFusion's own values, written to the source, has changed."""

    ours_sales: frozenset[str] = frozenset()

    def fields(self, *, parcel_id: str | None = None, sale_id: str | None = None) -> dict[str, Any]:
        """As fields of an event of a parcel or a sale."""
        is_ours = parcel_id in self.ours or sale_id in self.ours_sales
        return {
            "county": self.county,
            "pair": self.pair,
            "operation_id": self.operation_id,
            "occurred_at": self.occurred_at,
            "origin": OURS if is_ours else None,
        }


def parcel_facts(origin: Origin, rows: Iterable[Row], *, certified_year: int | None = None) -> list[CanonicalFact]:
    """Facts of parcels; a row has parcel_id, tax_year, supplement, before, after, geometry_changed, is_official.

    A parcel that was not active before and is not now has nothing to tell.
    """
    facts: list[CanonicalFact] = []
    for row in rows:
        before, after = row["before"], row["after"]
        was_active = before is not None and before["is_active"]
        if not was_active and not after["is_active"]:
            continue
        fields = _changed(before, after) + (["geometry"] if row["geometry_changed"] else [])
        facts.append(
            (ParcelChanged if after["is_active"] else ParcelRemoved)(
                **origin.fields(parcel_id=row["parcel_id"]),
                parcel_id=row["parcel_id"],
                tax_year=row["tax_year"],
                supplement=row["supplement"],
                changed_fields=tuple(fields),
                before=_only(before, fields),
                after=_only(after, fields),
                is_certified_year=row["is_official"] and row["tax_year"] == certified_year,
            )
        )
    return facts


def official_facts(
    origin: Origin, rows: Iterable[Row], *, said: set[str], certified_year: int | None
) -> list[CanonicalFact]:
    """Facts of official layers; a row has also is_working: a parcel in `said` was told of as the working layer."""
    facts: list[CanonicalFact] = []
    for row in rows:
        before, after = row["before"], row["after"]
        if row["parcel_id"] in said and (row["is_working"] or after is None):
            continue
        fields = _changed(before, after) + (["geometry"] if row["geometry_changed"] else [])
        facts.append(
            (ParcelRemoved if after is None else ParcelChanged)(
                **origin.fields(parcel_id=row["parcel_id"]),
                parcel_id=row["parcel_id"],
                tax_year=row["tax_year"],
                supplement=row["supplement"],
                changed_fields=tuple(fields),
                before=_only(before, fields),
                after=_only(after, fields),
                layer="official",
                is_certified_year=row["tax_year"] == certified_year,
            )
        )
    return facts


def removed_parcel_facts(
    origin: Origin, rows: Iterable[Row], *, certified_year: int | None = None
) -> list[CanonicalFact]:
    """Facts of parcels that are no longer in the source; a row has parcel_id, tax_year, supplement, is_official."""
    return [
        ParcelRemoved(
            **origin.fields(parcel_id=row["parcel_id"]),
            parcel_id=row["parcel_id"],
            tax_year=row["tax_year"],
            supplement=row["supplement"],
            changed_fields=("is_active",),
            before={"is_active": True},
            after=None,
            is_certified_year=row["is_official"] and row["tax_year"] == certified_year,
        )
        for row in rows
    ]


def sale_facts(origin: Origin, rows: Iterable[Row]) -> list[CanonicalFact]:
    """Facts of sales; a row is a parcel of a sale that differs: before, after, was_known and is_known of the sale."""
    facts: list[CanonicalFact] = []
    for sale_id, group in groupby(sorted(rows, key=_by("sale_id", "parcel_id")), key=_by("sale_id")):
        parts = list(group)
        first = parts[0]
        kind = SaleRemoved if not first["is_known"] else SaleChanged if first["was_known"] else SaleRecorded
        before, after = first["before"], first["after"]
        fields = _changed(before, after)
        facts.append(
            kind(
                **origin.fields(sale_id=sale_id[0]),
                sale_id=sale_id[0],
                parcel_ids=tuple(part["parcel_id"] for part in parts),
                changed_fields=tuple(fields),
                before=_only(before, fields),
                after=_only(after, fields),
            )
        )
    return facts


def owner_facts(origin: Origin, rows: Iterable[Row], *, silent: set[str]) -> list[CanonicalFact]:
    """Facts of parcels whose owners differ; a parcel in `silent` is gone, which has been said already."""
    facts: list[CanonicalFact] = []
    told = [row for row in rows if row["parcel_id"] not in silent]
    for parcel, group in groupby(sorted(told, key=_by("parcel_id", "owner_id")), key=_by("parcel_id")):
        parts = list(group)
        fields = {field for part in parts for field in part["changed_fields"]}
        facts.append(
            OwnerChanged(
                **origin.fields(parcel_id=parcel[0]),
                parcel_id=parcel[0],
                tax_year=parts[0]["tax_year"],
                owner_ids=tuple(part["owner_id"] for part in parts),
                changed_fields=tuple(sorted(fields)),
            )
        )
    return facts


def _by(*names: str) -> Any:
    return lambda row: tuple(row[name] for name in names)


def _changed(before: Row | None, after: Row | None) -> list[str]:
    names = (after or before or {}).keys()
    return [name for name in names if (before or {}).get(name) != (after or {}).get(name)]


def _only(row: Row | None, names: list[str]) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in names if name in row}
