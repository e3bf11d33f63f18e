"""What is shown of names and addresses of people, and what is kept for the record of owners alone."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import polars as pl

from contracts.events.ingest import MASK
from contracts.mapping import SourceTable


@dataclass(frozen=True, slots=True)
class PersonalKey:
    """The key by which personal values become codes; `id` tells codes of one key from those of the next."""

    secret: bytes

    @property
    def id(self) -> str:
        """Eight digits that identify the key and do not help to find it."""
        return sha256(b"terrafusion personal key" + self.secret).hexdigest()[:8]

    def code(self, table: str, column: str, value: str) -> str:
        """`hmac:<key id>:<32 digits>`; equal values of a column have equal codes, of two columns they do not."""
        message = f"{table}\x1f{column}\x1f{value}".encode()
        return f"hmac:{self.id}:{hmac.new(self.secret, message, sha256).hexdigest()[:32]}"


def shown(table: SourceTable, rows: pl.DataFrame, key: PersonalKey | None = None) -> pl.DataFrame:
    """The table's columns as they go into images, events and quarantine.

    Raises:
        ValueError: a column is to be coded and there is no key.
    """
    return rows.select(_shown(table, rows[name], key) if name in table.personal else name for name in table.columns)


def kept(table: SourceTable, rows: pl.DataFrame) -> pl.Series:
    """The personal values of each row as JSON by column; null where there are none, without what is dropped."""
    names = [name for name in table.personal if table.personal_as.get(name) != "drop"]
    if not names:
        return pl.repeat(None, rows.height, dtype=pl.String, eager=True).alias("personal")
    is_there = pl.any_horizontal(pl.col(name).is_not_null() for name in names)
    encoded = pl.struct(pl.col(name).cast(pl.String) for name in names).struct.json_encode()
    return rows.select(pl.when(is_there).then(encoded).alias("personal")).to_series()


def _shown(table: SourceTable, column: pl.Series, key: PersonalKey | None) -> pl.Series:
    treatment = table.personal_as.get(column.name, "mask")
    text = column.cast(pl.String)
    if treatment == "drop":
        return pl.repeat(None, len(text), dtype=pl.String, eager=True).alias(column.name)
    if treatment == "mask":
        return pl.select(pl.when(text.is_not_null()).then(pl.lit(MASK)).alias(column.name)).to_series()
    if key is None:
        raise ValueError(f"{table.name}.{column.name} is to be coded and there is no key")
    return _mapped(text, lambda value: key.code(table.name, column.name, value))


def _mapped(column: pl.Series, code: Callable[[str], str]) -> pl.Series:
    """Each distinct value is coded once."""
    values = column.drop_nulls().unique().to_list()
    return column.replace_strict(values, [code(value) for value in values], default=None, return_dtype=pl.String)
