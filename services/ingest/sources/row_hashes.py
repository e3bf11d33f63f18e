"""Hashes rows where the source cannot: files and services that only hand over values."""

from hashlib import md5

import polars as pl

from contracts.mapping import SourceTable
from services.ingest.sources.source import HASH, Content


def with_hashes(table: SourceTable, rows: pl.DataFrame, content: Content) -> pl.DataFrame:
    """The rows with MD5 over the texts of their mapped columns, or of their key, beside them."""
    names = list(table.columns) if content == "row" else list(table.key)
    spelled = rows.select(pl.concat_str([_spelled(name) for name in names])).to_series()
    hashes = [md5(text.encode(), usedforsecurity=False).hexdigest() for text in spelled]
    return rows.with_columns(pl.Series(HASH, hashes, dtype=pl.String))


def _spelled(name: str) -> pl.Expr:
    """`name=5:value;`, or `name=;` for null: no two rows that differ are spelled alike."""
    value = pl.col(name)
    length = value.str.len_bytes().cast(pl.String)
    present = pl.concat_str([pl.lit(f"{name}="), length, pl.lit(":"), value, pl.lit(";")])
    return pl.when(value.is_null()).then(pl.lit(f"{name}=;")).otherwise(present)
