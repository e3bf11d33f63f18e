"""The record assembled once more out of landed rows, batch by batch, and compared with what is stored."""
# ruff: noqa: S608

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from services.ingest import tables
from services.ingest.certificate.queries import SECONDS
from services.ingest.domain.certificate import SHOWN_DIFFERENCES, Line
from services.ingest.record import queries, touched
from services.ingest.record.canonical import Renewal

KEYS = {
    "parcel": ("parcel_id", "tax_year", "supplement"),
    "owner": ("parcel_id", "tax_year", "owner_id"),
    "sale": ("sale_id", "parcel_id"),
    "neighborhood": ("neighborhood", "tax_year"),
}
_OUTSIDE = {"county", "updated_at"}


class Stored(NamedTuple):
    """Which stored entities a batch has to explain: a condition from parameter 3 on."""

    condition: str
    values: tuple[Any, ...]
    excused: str = "false"
    """Of stored entities that were not assembled: those that may be there all the same."""


@dataclass
class RecordSide:
    """What the comparison came to."""

    compared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    differing: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    shown: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> list[Line]:
        """A line for each kind of entity."""
        return [
            Line(
                f"record of {name}s",
                self.compared[name],
                self.compared[name] - self.differing[name],
                holds=not self.differing[name],
                note=f"{self.differing[name]} differ from what landed rows make" if self.differing[name] else "",
            )
            for name in KEYS
        ]


class RecordComparison(Renewal):
    """A renewal that saves nothing: it reads and assembles as the record is made, and lays the two side by side."""

    side: RecordSide

    async def compare(self) -> RecordSide:
        """All entities of the pair, in a transaction that writes temporary tables only."""
        self.side = RecordSide()
        if self.pair.role != "primary":
            return self.side
        await touched.prepare(self.connection)
        await self._touch(is_whole=True)
        await touched.count_touched(self.connection)
        await self._neighborhoods()
        await self._sales()
        await self._parcels()
        await self._strays()
        self.has_failed = False
        await touched.finish(self.connection)
        return self.side

    async def _save_neighborhoods(self) -> None:
        await self._compare("neighborhood", Stored("e.tax_year = $3", (self.run.working_year,)))

    async def _save_sales(self, made: pl.DataFrame, ids: list[str]) -> None:
        await self._stage("sale", made)
        await self._compare("sale", Stored("e.sale_id = ANY($3::text[])", (ids,)))

    async def _save_parcels(self, parcels: pl.DataFrame, owners: pl.DataFrame, ids: list[str]) -> None:
        wkb = pl.concat_str(pl.lit("\\x"), pl.col("geometry_wkb")).alias("geometry_wkb")
        await self._stage("parcel", parcels.with_columns(wkb))
        await self._stage("owner", owners)
        await queries.set_last_sales(self.connection, self.run.county, ids=ids)
        layers = Stored(
            "e.parcel_id = ANY($3::text[]) AND (e.is_current OR e.is_official AND e.tax_year = ANY($4::integer[]))",
            (ids, self.years.built),
            excused="NOT e.is_active",  # a parcel that is gone stays, as one that was
        )
        await self._compare("parcel", layers)
        of_year = Stored("e.parcel_id = ANY($3::text[]) AND e.tax_year = $4", (ids, self.years.working))
        await self._compare("owner", of_year)

    async def _compare(self, name: str, stored: Stored) -> None:
        rows = await self.connection.fetch(
            _differing(name, stored), self.run.county, self.pair.pair, *stored.values, timeout=SECONDS
        )
        self.side.compared[name] += await self.connection.fetchval(f"SELECT count(*) FROM stage_{name}")
        self._note(name, rows)

    async def _strays(self) -> None:
        """Stored owners of parcels that are neither landed nor recorded."""
        rows = await self.connection.fetch(
            "SELECT e.parcel_id, e.tax_year, e.owner_id, 'unexplained' AS what, '{}'::text[] AS fields"
            " FROM ingest.owner e WHERE e.county = $1 AND e.pair = $2 AND e.tax_year = $3"
            " AND NOT EXISTS (SELECT FROM touched_parcel t WHERE t.id = e.parcel_id)",
            self.run.county, self.pair.pair, self.run.working_year, timeout=SECONDS,
        )  # fmt: skip
        self._note("owner", rows)

    def _note(self, name: str, rows: Sequence[Any]) -> None:
        self.side.differing[name] += len(rows)
        for row in rows[: SHOWN_DIFFERENCES - len(self.side.shown)]:
            key = "/".join(str(row[part]) for part in KEYS[name])
            self.side.shown.append({"entity": name, "key": key, "what": row["what"], "fields": list(row["fields"])})


def _differing(name: str, stored: Stored) -> str:
    """Entities that are assembled and not stored, stored and not assembled, or otherwise; with the fields' names."""
    key = KEYS[name]
    columns = [c.name for c in tables.metadata.tables[f"ingest.{name}"].columns if c.name not in {*_OUTSIDE, *key}]
    fields = ", ".join(f"CASE WHEN s.{column} IS DISTINCT FROM e.{column} THEN '{column}' END" for column in columns)
    made, kept = (", ".join(f"{side}.{column}" for column in columns) for side in "se")
    same = " AND ".join(f"e.{part} = s.{part}" for part in key)
    is_new, is_gone = f"e.{key[0]} IS NULL", f"s.{key[0]} IS NULL"
    return (
        f"SELECT {', '.join(f'coalesce(s.{part}, e.{part}) AS {part}' for part in key)},"
        f" CASE WHEN {is_new} THEN 'missing' WHEN {is_gone} THEN 'unexplained' ELSE 'different' END AS what,"
        f" CASE WHEN {is_new} OR {is_gone} THEN '{{}}' ELSE array_remove(ARRAY[{fields}], NULL) END AS fields"
        f" FROM stage_{name} s FULL JOIN (SELECT * FROM ingest.{name} e WHERE e.county = $1 AND e.pair = $2"
        f"  AND {stored.condition}) e ON {same}"
        f" WHERE {is_new} OR {is_gone} AND NOT ({stored.excused})"
        f"  OR s.{key[0]} IS NOT NULL AND ({made}) IS DISTINCT FROM ({kept}) ORDER BY 1, 2"
    )
