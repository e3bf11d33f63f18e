"""Which rows are taken, which are left out by the mapping, and which go to quarantine under which rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl
import shapely

from contracts.events.ingest import MASK
from contracts.mapping import Check, ColumnType, Link, Pair, SourceTable
from contracts.quarantine import ReadingFault
from services.ingest.domain.rows import DIGEST, FAULT_FIELD, FAULT_VALUE, KEY, KEY_IS_WHOLE

Frames = Mapping[str, pl.DataFrame]
Reference = tuple[str, str | None]
"""`table.column` that has to hold a value, and `table.column` of the year where it has to be the same."""

VIOLATIONS = {KEY: pl.String, "rule": pl.String, "field": pl.String, "value": pl.String}
_PLACE = "@place"


@dataclass(frozen=True, slots=True)
class Known:
    """What rows are judged by that stands in other tables."""

    left_out: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.String))
    """Parcels that the scope's table leaves out."""
    values: Mapping[Reference, pl.DataFrame] = field(default_factory=dict)
    """By reference, the values that are there: columns `part0` and, with a year, `part1`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A table's rows after judgement; read = accepted + quarantined + filtered."""

    accepted: pl.DataFrame
    violations: pl.DataFrame
    filtered: pl.DataFrame
    rows_read: int
    rows_quarantined: int
    rows_filtered: int


def references(table: SourceTable) -> list[Reference]:
    """What the table's checks look up in others."""
    return [(check.references, check.references_year) for check in table.checks if check.references is not None]


def judge(
    pair: Pair, table: SourceTable, rows: pl.DataFrame, known: Known, *, today: date, has_repeats: bool = True
) -> Judged:
    """Parts a table's rows; a log has many changes of one key, which repeat nothing."""
    read = rows.with_row_index(_PLACE)
    is_kept = _wanted(table) & ~_is_out_of_scope(pair, table, known)
    kept, left = read.filter(is_kept), read.filter(~is_kept)
    violations = _violations(table, kept, known, today=today)
    sound = kept.join(violations, on=_PLACE, how="anti")
    repeated, taken = _repeats(table, sound) if has_repeats else (sound.clear(), sound)
    quarantined = violations[_PLACE].n_unique() + repeated.height
    found = pl.concat(
        [
            kept.select(_PLACE, KEY).join(violations, on=_PLACE, how="inner").select(*VIOLATIONS),
            repeated.select(
                KEY,
                pl.lit(ReadingFault.KEY_REPEATED.value).alias("rule"),
                pl.lit(", ".join(table.key)).alias("field"),
                pl.col(KEY).alias("value"),
            ),
        ]
    )
    return Judged(
        accepted=taken.drop(_PLACE, FAULT_FIELD, FAULT_VALUE, KEY_IS_WHOLE),
        violations=found.unique([KEY, "rule"], keep="first", maintain_order=True),
        filtered=left.filter(KEY_IS_WHOLE).drop(_PLACE, FAULT_FIELD, FAULT_VALUE, KEY_IS_WHOLE),
        rows_read=read.height,
        rows_quarantined=quarantined,
        rows_filtered=read.height - taken.height - quarantined,
    )


def _wanted(table: SourceTable) -> pl.Expr:
    return pl.all_horizontal(
        pl.lit(value=True), *(pl.col(name).is_in(values).fill_null(value=False) for name, values in table.where.items())
    )


def _is_out_of_scope(pair: Pair, table: SourceTable, known: Known) -> pl.Expr:
    """Whether a row belongs to a parcel that the scope's table leaves out."""
    if pair.scope is None or table.name == pair.scope or Link.PARCEL_ID not in table.links:
        return pl.lit(value=False)
    return _link(table, Link.PARCEL_ID).is_in(known.left_out.implode()).fill_null(value=False)


def _link(table: SourceTable, link: Link) -> pl.Expr:
    return pl.concat_str([pl.col(name).cast(pl.String) for name in table.link_columns(link)], separator=":")


def _violations(table: SourceTable, rows: pl.DataFrame, known: Known, *, today: date) -> pl.DataFrame:
    found = [
        rows.filter(pl.col(FAULT_FIELD).is_not_null()).select(
            _PLACE,
            pl.lit(ReadingFault.VALUE_UNREADABLE.value).alias("rule"),
            pl.col(FAULT_FIELD).alias("field"),
            pl.col(FAULT_VALUE).alias("value"),
        )
    ]
    for check in table.checks:
        broken = rows.filter(~_holds(check, table, rows, known, today=today))
        shown = pl.lit(MASK) if check.column in table.personal else pl.col(check.column).cast(pl.String)
        found.append(
            broken.select(
                _PLACE,
                pl.lit(check.rule.value).alias("rule"),
                pl.lit(check.column).alias("field"),
                shown.str.slice(0, 200).alias("value"),
            )
        )
    judged = pl.concat(found)
    keyless = rows.filter(~pl.col(KEY_IS_WHOLE)).join(judged, on=_PLACE, how="anti")
    missing = keyless.select(
        _PLACE,
        pl.lit(ReadingFault.KEY_MISSING.value).alias("rule"),
        pl.lit(", ".join(table.key)).alias("field"),
        pl.col(KEY).alias("value"),
    )
    return pl.concat([judged, missing])


def _holds(check: Check, table: SourceTable, rows: pl.DataFrame, known: Known, *, today: date) -> pl.Series:
    column = rows[check.column]
    if check.required:
        return column.is_not_null() & (column.cast(pl.String).str.strip_chars() != "").fill_null(value=False)
    if check.required_with is not None:
        return column.is_not_null() | (_number(rows[check.required_with]) <= 0).fill_null(value=True)
    if check.not_after_today:
        return (column.str.slice(0, 10) <= today.isoformat()).fill_null(value=True)
    if check.valid_geometry:
        return are_valid(column)
    if check.references is not None:
        return _is_referenced(check, table, rows, known)
    number = _number(column)
    holds = number.is_null() | number.is_in(list(check.ignore))
    highest = check.maximum if check.maximum_years_ahead is None else today.year + check.maximum_years_ahead
    above = number >= check.minimum if check.minimum is not None else number.is_not_null()
    below = number <= highest if highest is not None else number.is_not_null()
    return holds | (above & below).fill_null(value=False)


def _number(column: pl.Series) -> pl.Series:
    return column.cast(pl.Float64, strict=False)


def are_valid(geometries: pl.Series) -> pl.Series:
    """Whether each hexadecimal WKB is a geometry that is valid by the OGC rules; null is."""
    present = geometries.drop_nulls()
    parsed = shapely.from_wkb(present.str.decode("hex").to_numpy(), on_invalid="ignore")
    valid = shapely.is_valid(parsed) & ~shapely.is_missing(parsed)
    everyone = pl.repeat(value=True, n=len(geometries), dtype=pl.Boolean, eager=True)
    return everyone.scatter(geometries.is_not_null().arg_true(), pl.Series(valid, dtype=pl.Boolean))


def _is_referenced(check: Check, table: SourceTable, rows: pl.DataFrame, known: Known) -> pl.Series:
    assert check.references is not None
    wanted = [reference_part(table, check.column)]
    if check.year_column is not None:
        wanted.append(pl.col(check.year_column).cast(pl.String))
    parts = [f"part{number}" for number in range(len(wanted))]
    asked = rows.select(_PLACE, *(part.alias(alias) for part, alias in zip(wanted, parts, strict=True)))
    there = known.values[check.references, check.references_year]
    there = there.join(asked.select(parts).unique(), on=parts, how="semi")  # few are asked for, many may be there
    missing = asked.filter(pl.col(parts[0]).is_not_null()).join(there, on=parts, how="anti")[_PLACE]
    return ~rows[_PLACE].is_in(missing.implode())


def reference_part(table: SourceTable, name: str) -> pl.Expr:
    """A column's value as references compare it."""
    column = pl.col(name).cast(pl.String)
    return column.str.strip_chars() if table.columns[name] is ColumnType.TEXT else column


def _repeats(table: SourceTable, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows whose key says nothing, and those that are taken; the rest repeat one that is."""
    if rows[KEY].n_unique() == rows.height:
        return rows.clear(), rows
    if table.repeats_ordered_by is not None:
        order = pl.col(table.repeats_ordered_by)
        if table.columns[table.repeats_ordered_by] is ColumnType.DECIMAL:
            order = order.cast(pl.Float64)
        ordered = rows.sort(order, _PLACE, nulls_last=True)
        return rows.clear(), ordered.unique(KEY, keep="first", maintain_order=True)
    single = rows.unique([KEY, DIGEST], keep="first", maintain_order=True)
    repeated = single.filter(pl.col(KEY).is_duplicated())[KEY].unique()
    return rows.filter(pl.col(KEY).is_in(repeated.implode())), single.filter(~pl.col(KEY).is_in(repeated.implode()))
