"""Works out what a run has to do: judges the rows, compares them with what was landed, builds the entities."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b

import polars as pl

from chassis.errors import PermanentError
from contracts.county import County
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.affected import affected
from services.ingest.domain.checks import Judged, judge, known_of
from services.ingest.domain.diff import Difference, compare
from services.ingest.domain.entities import Assembled, Scope, assemble
from services.ingest.domain.envelopes import Op, RowChange
from services.ingest.domain.rows import DIGEST, KEY, from_images, images
from services.ingest.reading import Picture

Landed = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What is to be done with the rows of a table."""

    table: SourceTable
    judged: Judged
    difference: Difference
    is_first: bool


def rules_digest(pair: Pair, county: County) -> str:
    """What the record is made by: where the mapping or the county file changed, everything is built anew."""
    return blake2b((pair.model_dump_json() + county.model_dump_json()).encode(), digest_size=16).hexdigest()


def needed_tables(pair: Pair, chosen: list[str] | None) -> list[SourceTable]:
    """The tables to read: the chosen ones and those that their rows are judged by.

    Raises:
        PermanentError: `table_unknown`.
    """
    if chosen is None:
        return list(pair.tables)
    if unknown := sorted(set(chosen) - set(pair.table_by_name)):
        raise PermanentError("table_unknown", f"the pair {pair.pair} has no tables {unknown}")
    names = {*chosen, *([pair.scope] if pair.scope else [])}
    columns = [pair.working_year.column] + [c.references for name in names for c in pair.table_by_name[name].checks]
    names |= {column.partition(".")[0] for column in columns if column}
    return [table for table in pair.tables if table.name in names]


def braked_tables(picture: Picture, landed: Landed) -> list[str]:
    """Tables that were read empty and had rows: hardly all gone, so nothing may be deleted for it."""
    return [name for name, rows in picture.rows.items() if rows.is_empty() and landed[name].height]


def plan_tables(pair: Pair, picture: Picture, landed: Landed, *, today: date) -> list[TablePlan]:
    """Judges and compares every table that was read."""
    plans = []
    for name, digests in landed.items():
        table = pair.table_by_name[name]
        judged = judge(pair, table, picture.rows[name], known_of(pair, table, picture.rows), today=today)
        difference = compare(digests, judged.accepted, held_back=judged.violations[KEY])
        plans.append(TablePlan(table, judged, difference, is_first=digests.is_empty()))
    return plans


def held_keys(plan: TablePlan, landed: Landed) -> list[str]:
    """Keys of rows in quarantine that were good before: their last good images go on to count."""
    return landed[plan.table.name].filter(pl.col(KEY).is_in(plan.judged.violations[KEY].implode()))[KEY].to_list()


def changed_keys(plan: TablePlan) -> list[str]:
    """Keys of rows whose images before are needed."""
    return [*plan.difference.updated[KEY].to_list(), *plan.difference.deleted.to_list()]


def entity_rows(pair: Pair, plans: list[TablePlan], others: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The rows that entities are built of: accepted ones, and images (`others`) of those held back or not read."""
    rows = {plan.table.name: plan.judged.accepted.select(list(plan.table.columns)) for plan in plans}
    for name, kept in others.items():
        past = from_images(pair.table_by_name[name], kept["image"])
        rows[name] = pl.concat([rows[name], past]) if name in rows else past
    return rows


def scope_of(
    pair: Pair, plans: list[TablePlan], rows: Mapping[str, pl.DataFrame], before: Mapping[str, pl.DataFrame]
) -> Scope:
    """What the changed rows can have changed."""
    changed = {}
    for plan in plans:
        if plan.difference.changes:
            names = list(plan.table.columns)
            past = from_images(plan.table, before[plan.table.name]["image"])
            changed[plan.table.name] = pl.concat([plan.difference.written.select(names), past])
    return affected(pair, rows, changed)


def build(
    pair: Pair, rows: Mapping[str, pl.DataFrame], *, county: County, working_year: int, scope: Scope
) -> Assembled:
    """The canonical entities in scope."""
    return assemble(pair, rows, working_year=working_year, epsg=county.epsg, validity=county.sale_validity, scope=scope)


def row_changes(plan: TablePlan, before: pl.DataFrame) -> list[RowChange]:
    """The table's changes with images; a first load has `r` rows where the pair wants them."""
    past = dict(zip(before[KEY].to_list(), before["image"].to_list(), strict=True))
    written = plan.difference.written
    op: Op = "r" if plan.is_first else "c"
    changes = [
        RowChange("u" if key in past else op, key, past.get(key), image)
        for key, image in zip(written[KEY].to_list(), images(plan.table, written).to_list(), strict=True)
    ]
    return changes + [RowChange("d", key, past[key], None) for key in plan.difference.deleted.to_list()]


def staged_rows(plan: TablePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as they are landed."""
    return rows.select(
        pl.lit(plan.table.name).alias("source_table"), pl.col(KEY).alias("key"), pl.col(DIGEST).alias("digest")
    ).with_columns(images(plan.table, rows))
