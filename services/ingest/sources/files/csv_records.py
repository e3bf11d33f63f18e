"""Comma-separated files, read in blocks; nothing between two commas is null, `""` is the empty text."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from chassis.errors import PermanentError
from contracts.file_format import FileFormat
from contracts.mapping import SourceTable
from services.ingest.sources.files.texts import Utf8File

_BLOCK_BYTES = 1024 * 1024  # Arrow reads some blocks ahead
_HEADER_BYTES = 64 * 1024
_DELIMITERS = ",;\t|"


def delimiter_of(path: Path, file_format: FileFormat) -> str:
    """The declared delimiter, or the one that parts the header's first line most often."""
    if file_format.delimiter is not None:
        return file_format.delimiter
    with path.open("rb") as file:
        line = file.readline(_HEADER_BYTES).replace(b"\0", b"")  # of UTF-16
    found = max(_DELIMITERS, key=lambda mark: line.count(mark.encode()))
    return found if found.encode() in line else ","


def header(name: str, file: Utf8File, file_format: FileFormat, delimiter: str) -> list[str]:
    """The names in the first record.

    Raises:
        PermanentError: `source_header_missing`.
    """
    text = io.StringIO(file.read(_HEADER_BYTES).decode(errors="ignore"), newline="")
    if file_format.quote:
        rows = csv.reader(text, delimiter=delimiter, quotechar=file_format.quote)
    else:
        rows = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    found = next(rows, [])
    if not found:
        raise PermanentError("source_header_missing", f"{name} has no line with the names of its columns")
    return found


def read_csv(
    name: str, file: Utf8File, table: SourceTable, *, delimiter: str, columns: list[str]
) -> Iterator[pl.DataFrame]:
    """The mapped columns as texts.

    Raises:
        PermanentError: `source_line_broken`, `source_header_repeated`.
    """
    repeated = sorted(set(table.columns) & {column for column, count in Counter(columns).items() if count > 1})
    if repeated:
        raise PermanentError("source_header_repeated", f"the header of {name} names {repeated} more than once")
    broken: list[pa_csv.InvalidRow] = []
    try:
        with _open(file, table, delimiter, broken=broken, is_one_column=len(columns) == 1) as reader:
            for batch in reader:
                yield cast("pl.DataFrame", pl.from_arrow(batch))
    except pa.ArrowInvalid as error:
        # Arrow's message quotes the record, which may name people: only its number is told
        raise _broken(name, broken, len(columns)) from (None if broken else error)


def _open(
    file: Utf8File, table: SourceTable, delimiter: str, *, broken: list[pa_csv.InvalidRow], is_one_column: bool
) -> pa_csv.CSVStreamingReader:
    def refuse(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    return pa_csv.open_csv(
        file,
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char=table.file_format.quote or False,
            newlines_in_values=bool(table.file_format.quote),
            ignore_empty_lines=not is_one_column,
            invalid_row_handler=refuse,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(table.columns, pa.string()),
            include_columns=list(table.columns),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _broken(name: str, broken: list[pa_csv.InvalidRow], expected: int) -> PermanentError:
    if not broken:
        return PermanentError("source_line_broken", f"a record of {name} is longer than {_BLOCK_BYTES:,} bytes")
    row = broken[0]
    return PermanentError(
        "source_line_broken",
        f"record {row.number} of {name} (the header is 1) has {row.actual_columns} fields, not {expected}",
        details={"file": name, "record": row.number},
    )
