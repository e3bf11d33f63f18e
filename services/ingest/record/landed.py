"""The SQL that reads landed rows of a batch into frames.

Columns' names come from the mapping, so they stand in statements as quoted literals.
"""
# ruff: noqa: S608

import io
from typing import Any

import polars as pl

from contracts.mapping import ColumnType
from services.ingest.domain.reach import Needed

_POLARS_TYPES = {ColumnType.INTEGER: pl.Int64}
#: each image is parsed once, and not once for every column
_PARSED = "r.image::jsonb AS image, r.personal::jsonb AS personal"


async def read_rows(connection: Any, county: str, pair: str, needed: Needed) -> pl.DataFrame:
    """The landed rows of a table that belong to the batch, in the order of their keys; all where no link finds them."""
    names = [_value(needed, name) for name in needed.columns]
    rows, where = f"SELECT r.key, {_PARSED} FROM ingest.source_row r WHERE ", _where(county, pair, needed)
    source = f"({rows} {where} OFFSET 0) v"
    if needed.link is not None:  # `OFFSET 0` makes the rows be looked up by the link, whatever the planner expects
        found = f"{rows} r.{needed.link.value} = b.id AND {where} OFFSET 0"
        source = f"batch_id b CROSS JOIN LATERAL ({found}) v WHERE b.link = {literal(needed.link.value)}"
    query = f'SELECT {", ".join(["1", *names])} FROM {source} ORDER BY v.key COLLATE "C"'
    return await _read(connection, query, needed)


async def read_distinct(connection: Any, county: str, pair: str, needed: Needed) -> pl.DataFrame:
    """What all landed rows of a table hold in the needed columns, each combination once."""
    names = ", ".join(["1", *(_value(needed, name) for name in needed.columns)])
    where = _where(county, pair, needed)
    query = f"SELECT DISTINCT {names} FROM (SELECT {_PARSED} FROM ingest.source_row r WHERE {where} OFFSET 0) v"
    return await _read(connection, query, needed)


async def _read(connection: Any, query: str, needed: Needed) -> pl.DataFrame:
    buffer = io.BytesIO()
    await connection.copy_from_query(query, output=buffer, format="csv")
    schema = dict.fromkeys(needed.columns, pl.String)
    if not buffer.tell():
        frame = pl.DataFrame(schema=schema)
    else:  # an empty text is quoted and null is not, which polars tells apart
        frame = pl.read_csv(buffer.getvalue(), has_header=False, new_columns=["@", *schema], infer_schema=False)
    kinds = needed.table.columns
    return frame.select(
        pl.col(name) == "true"
        if kinds[name] is ColumnType.BOOLEAN
        else pl.col(name).cast(_POLARS_TYPES.get(kinds[name], pl.String))
        for name in needed.columns
    )


def _where(county: str, pair: str, needed: Needed) -> str:
    named = {"county": county, "pair": pair, "source_table": needed.table.name}
    return " AND ".join(f"r.{name} = {literal(value)}" for name, value in named.items()) + " AND NOT r.is_filtered"


def _value(needed: Needed, name: str) -> str:
    """A column's value; a person's from where names are kept."""
    is_kept = name in needed.table.personal and needed.table.personal_as.get(name) != "drop"
    return f"v.{'personal' if is_kept else 'image'} ->> {literal(name)}"


def json_text(alias: str, column: str) -> str:
    """The SQL of a column of an image."""
    return f"({alias}.image::jsonb ->> {literal(column)})"


def literal(value: str) -> str:
    """A text as it stands in a statement."""
    return "'" + value.replace("'", "''") + "'"
