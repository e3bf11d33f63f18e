"""Fixed-width records, such as those of the PACS appraisal export."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import polars as pl
import yaml
from pydantic import TypeAdapter

from chassis.errors import PermanentError
from contracts.file_format import FixedLayoutName, Layout, Place, ScaledPlace
from contracts.mapping import ColumnType, SourceTable
from services.ingest.sources.files.texts import Utf8File

ENCODING = "latin-1"
"""Of these exports, where the mapping says no other: every character is one byte."""

_PADDING = " \0"
_END_OF_FILE = "\x1a"  # how DOS programs end a text


@cache
def _built_in() -> dict[FixedLayoutName, Layout]:
    read = yaml.safe_load((Path(__file__).parent / "layouts.yaml").read_text(encoding="utf-8"))
    return TypeAdapter(dict[FixedLayoutName, Layout]).validate_python(read)


def layout_of(table: SourceTable) -> Layout | None:
    """The table's layout: its own, or the one that it names; null: it is no fixed-width file."""
    layout = table.file_format.layout
    return _built_in()[layout] if isinstance(layout, str) else layout


def read_fixed_width(name: str, file: Utf8File, table: SourceTable, layout: Layout) -> Iterator[pl.DataFrame]:
    """The mapped columns; a field of blanks or NULs is null, and a number's missing point is set.

    Raises:
        PermanentError: `source_line_broken` with the number of a line that ends before the last mapped column.
    """
    places = {column: layout[column] for column in table.columns}
    least = max(place[1] for place in places.values())
    number = 0
    for lines in file.lines():
        if lines[-1] == _END_OF_FILE:
            lines.pop()
        short = next((at for at, line in enumerate(lines) if len(line) < least), None)
        if short is not None:
            raise _short(name, number + short + 1, len(lines[short]), least)
        number += len(lines)
        yield pl.DataFrame([_column(lines, column, place, table) for column, place in places.items()])


def _column(lines: list[str], name: str, place: Place | ScaledPlace, table: SourceTable) -> pl.Series:
    first, last = place[0] - 1, place[1]
    field = pl.col(name)
    is_text = table.columns[name] is ColumnType.TEXT
    stripped = field.str.strip_chars_end(_PADDING) if is_text else field.str.strip_chars(_PADDING)
    values = pl.DataFrame({name: pl.Series([line[first:last] for line in lines], dtype=pl.String)}).select(stripped)
    decimals = place[2] if len(place) == 3 else 0
    pointed = values.select(_point(field, decimals)) if decimals else values
    return pointed.select(pl.when(field != "").then(field)).to_series()


def _point(field: pl.Expr, decimals: int) -> pl.Expr:
    """`00573901` with 4 decimals is `0057.3901`; a number with a point of its own stays as it is."""
    digits = field.str.extract(r"^[+-]?(\d+)$").str.pad_start(decimals + 1, "0")
    whole = digits.str.head(-decimals)
    pointed = pl.concat_str([field.str.extract(r"^([+-]?)"), whole, pl.lit("."), digits.str.tail(decimals)])
    return pl.when(digits.is_not_null()).then(pointed).otherwise(field)


def _short(name: str, line: int, length: int, least: int) -> PermanentError:
    return PermanentError(
        "source_line_broken",
        f"line {line} of {name} has {length} characters, and the mapped columns need {least}",
        details={"file": name, "line": line},
    )
