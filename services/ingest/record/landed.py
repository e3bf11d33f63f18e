"""The SQL that reads landed rows of a batch into frames.

Columns' names come from the mapping, so they stand in statements as quoted literals.
"""
# ruff: noqa: S608

import io
from typing import Any

import polars as pl

from contracts.mapping import ColumnType
from services.ingest.domain.reach import Needed
from services.ingest.landing.queries import SECONDS

_POLARS_TYPES = {ColumnType.INTEGER: pl.Int64}
#: each image is parsed once, and not once for every column
_PARSED = "r.image::jsonb AS image, r.personal::jsonb AS personal"
_DOCUMENTS = ("image", "personal")


async def read_rows(connection: Any, county: str, pair: str, needed: Needed) -> pl.DataFrame:
    """The landed rows of a table that belong to the batch, in the order of their keys; all where no link finds them.

    The server sends documents as they are: taking them apart costs it more than all else, and us little.
    """
    rows, where = "SELECT r.key, r.image, r.personal FROM ingest.source_row r WHERE", _where(county, pair, needed)
    source = f"({rows} {where} OFFSET 0) v"
    if needed.link is not None:  # `OFFSET 0` makes the rows be looked up by the link, whatever the planner expects
        found = f"{rows} r.{needed.link.value} = b.id AND {where} OFFSET 0"
        source = f"batch_id b CROSS JOIN LATERAL ({found}) v WHERE b.link = {literal(needed.link.value)}"
    documents = [name for name in _DOCUMENTS if any(_document(needed, column) == name for column in needed.columns)]
    query = f'SELECT {", ".join(["1", *(f"v.{name}" for name in documents)])} FROM {source} ORDER BY v.key COLLATE "C"'
    return _typed(_taken_apart(await _copied(connection, query, documents), needed), needed)


async def read_distinct(connection: Any, county: str, pair: str, needed: Needed) -> pl.DataFrame:
    """What all landed rows of a table hold in the needed columns, each combination once."""
    names = ", ".join(["1", *(_value(needed, name) for name in needed.columns)])
    where = _where(county, pair, needed)
    query = f"SELECT DISTINCT {names} FROM (SELECT {_PARSED} FROM ingest.source_row r WHERE {where} OFFSET 0) v"
    return _typed(await _copied(connection, query, list(needed.columns)), needed)


async def _copied(connection: Any, query: str, names: list[str]) -> pl.DataFrame:
    """Texts; the first column of the query is there as a line without a value would be none."""
    buffer = io.BytesIO()
    await connection.copy_from_query(query, output=buffer, format="csv", timeout=SECONDS)
    if not buffer.tell():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    # an empty text is quoted and null is not, which polars tells apart
    return pl.read_csv(buffer.getvalue(), has_header=False, new_columns=["@", *names], infer_schema=False)


def _taken_apart(documents: pl.DataFrame, needed: Needed) -> pl.DataFrame:
    """Columns of documents, whatever stands in them, as texts."""
    found = []
    for name in _DOCUMENTS:
        if columns := [column for column in needed.columns if _document(needed, column) == name]:
            kind = pl.Struct(dict.fromkeys(columns, pl.String))
            found.append(documents.select(pl.col(name).str.json_decode(kind)).unnest(name))
    return pl.concat(found, how="horizontal") if found else documents.drop("@", strict=False)


def _typed(texts: pl.DataFrame, needed: Needed) -> pl.DataFrame:
    kinds = needed.table.columns
    return texts.select(
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
    return f"v.{_document(needed, name)} ->> {literal(name)}"


def _document(needed: Needed, name: str) -> str:
    """Where a column stands: what is a person's where names are kept."""
    is_kept = name in needed.table.personal and needed.table.personal_as.get(name) != "drop"
    return "personal" if is_kept else "image"


def json_text(alias: str, column: str) -> str:
    """The SQL of a column of an image."""
    return f"({alias}.image::jsonb ->> {literal(column)})"


def literal(value: str) -> str:
    """A text as it stands in a statement."""
    return "'" + value.replace("'", "''") + "'"
