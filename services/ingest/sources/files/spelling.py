"""What the mapping says about a file's texts before they are rows: dates, missing parts of keys, years."""

from collections.abc import Sequence

import polars as pl

from contracts.mapping import ColumnType, SourceTable
from services.ingest.sources.source import Key


def spelled(table: SourceTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Dates in ISO 8601 and the empty text where nothing means it; a date that fits no format stays as it was."""
    changed = [_date(table, name, formats) for name, formats in table.file_format.date_formats.items()]
    changed += [pl.col(name).fill_null("") for name in table.file_format.empty_if_missing]
    return rows.with_columns(changed)


def _date(table: SourceTable, name: str, formats: tuple[str, ...]) -> pl.Expr:
    column = pl.col(name)
    if table.columns[name] is ColumnType.DATE:
        read = [column.str.to_date(one, strict=False).dt.to_string("%Y-%m-%d") for one in formats]
    else:
        read = [column.str.to_datetime(one, strict=False).dt.to_string("%Y-%m-%dT%H:%M:%S%.f") for one in formats]
    return pl.coalesce(*read, column).alias(name)


def has_whole_key(table: SourceTable) -> pl.Expr:
    """Whether no part of the key is null."""
    return pl.all_horizontal(pl.col(name).is_not_null() for name in table.key)


def in_years(table: SourceTable, years: tuple[int, ...]) -> pl.Expr:
    """Whether the row's tax year is one of those."""
    year = pl.col(table.year_column).str.strip_chars().str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    return year.is_in(years).fill_null(value=False)


def keyed(rows: pl.DataFrame, columns: tuple[str, ...], values: Sequence[Key]) -> pl.DataFrame:
    """The rows whose columns hold one of the values."""
    wanted = pl.DataFrame(list(values), schema=dict.fromkeys(columns, pl.String), orient="row").unique()
    return rows.join(wanted, on=list(columns), how="semi", nulls_equal=True)
