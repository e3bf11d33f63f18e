"""Folders of files as a source, for tests."""

from pathlib import Path
from typing import Any

import polars as pl

from contracts.mapping import Pair, SourceTable
from services.ingest.sources.files.source import FileSource


def file_table(file: str, columns: dict[str, str], **more: Any) -> SourceTable:
    """A table of one file, whose first column is its key where none is said."""
    return SourceTable.model_validate(
        {"name": "roll", "file": file, "key": [next(iter(columns))], "columns": columns} | more
    )


def file_pair(table: SourceTable, connector: str = "files") -> Pair:
    """A pair of that table alone."""
    first = next(iter(table.columns))
    entities = {"parcel": {"root": table.name, "fields": {"parcel_number": f"{table.name}.{first}"}}}
    return Pair.model_validate(
        {
            "pair": "a_pair",
            "connector": connector,
            "working_year": {"year": 2024},
            "tables": [table.model_dump(mode="json")],
            "entities": entities,
        }
    )


def file_source(folder: Path, table: SourceTable) -> FileSource:
    """The folder as a source of that table."""
    return FileSource(folder, file_pair(table))


def rows_of(source: FileSource, table: SourceTable, **how: Any) -> pl.DataFrame:
    """All rows that a source has."""
    return pl.concat(list(source.read(table, **how)))
