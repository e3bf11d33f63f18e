"""The value file: what the legacy system imports, written by a county's layout."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from contracts.value_file import ValueFileColumn, ValueFileLayout
from services.valuation.domain.overrides import Value
from services.valuation.domain.refusal import ValuationRefusedError

_LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}


@dataclass(frozen=True, slots=True)
class RollLine:
    """A parcel of an approved run with the value that counts."""

    parcel_id: str
    parcel_number: str | None
    supplement: int | None
    value: Value | None
    override_id: UUID | None = None
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class PostedLine:
    """What the file says of a parcel, in whole rounded dollars; parts are null where the layout has none."""

    parcel_id: str
    value_usd: int
    land_value_usd: int | None
    improvement_value_usd: int | None
    override_id: UUID | None


@dataclass(frozen=True)
class Stamps:
    """What is the same in every line."""

    run_id: UUID
    tax_year: int
    valuation_date: date


@dataclass(frozen=True)
class ValueFile:
    """A written file with what it says; `left_out` names parcels that it cannot say, with the reason."""

    content: bytes
    posted: Sequence[PostedLine]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, int | None]:
        """Sums in USD; of parts only where the layout has them."""
        has_parts = any(line.land_value_usd is not None for line in self.posted)
        return {
            "value_usd": sum(line.value_usd for line in self.posted),
            "land_value_usd": sum(line.land_value_usd or 0 for line in self.posted) if has_parts else None,
            "improvement_value_usd": sum(line.improvement_value_usd or 0 for line in self.posted)
            if has_parts
            else None,
        }


def rounded(value_usd: Decimal, unit_usd: int) -> int:
    """Half up, to a multiple of the unit, as rolls are rounded."""
    return int((value_usd / unit_usd).quantize(Decimal(1), ROUND_HALF_UP)) * unit_usd


def write_value_file(layout: ValueFileLayout, roll: Iterable[RollLine], stamps: Stamps) -> ValueFile:
    """Write the roll in the order of its lines.

    Refuses `value_file_overflow` and `value_file_character` where a value does not fit the layout, and
    `nothing_to_post` where no parcel can be written; a parcel without what the layout asks for is left out.
    """
    text, posted, left_out = io.StringIO(newline=""), list[PostedLine](), dict[str, str]()
    end = _LINE_ENDS[layout.line_end]
    lines = csv.writer(text, delimiter=layout.delimiter, lineterminator=end)
    if layout.format == "csv" and layout.header:
        lines.writerow(column.name for column in layout.columns)
    for line in roll:
        said = _posted(line, layout)
        if isinstance(said, str):
            left_out[line.parcel_id] = said
            continue
        cells = [_cell(column, line, said, stamps, layout) for column in layout.columns]
        if layout.format == "csv":
            lines.writerow(cells)
        else:
            text.write("".join(map(_fixed, layout.columns, cells)) + end)
        posted.append(said)
    if not posted:
        raise ValuationRefusedError("nothing_to_post", "no parcel of the run can be written", {"left_out": left_out})
    return ValueFile(_encoded(text.getvalue(), layout), posted, left_out)


def _posted(line: RollLine, layout: ValueFileLayout) -> PostedLine | str:
    """What is said of a parcel, or why nothing can be."""
    if (lacking := _lacks(line, layout)) is not None or line.value is None:
        return lacking or "value_missing"
    total_usd = rounded(line.value.value_usd, layout.round_to_usd)
    if not layout.has_parts or line.value.land_value_usd is None:
        return PostedLine(line.parcel_id, total_usd, None, None, line.override_id)
    land_usd = min(rounded(line.value.land_value_usd, layout.round_to_usd), total_usd)
    return PostedLine(line.parcel_id, total_usd, land_usd, total_usd - land_usd, line.override_id)


def _lacks(line: RollLine, layout: ValueFileLayout) -> str | None:
    """What a parcel has not that the layout asks for."""
    asked = {column.value for column in layout.columns}
    reasons = {
        "value_missing": line.value is None,
        "inactive": not line.is_active,
        "parcel_number_missing": "parcel_number" in asked and not line.parcel_number,
        "supplement_missing": "supplement" in asked and line.supplement is None,
        "land_value_missing": layout.has_parts and line.value is not None and line.value.land_value_usd is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _cell(column: ValueFileColumn, line: RollLine, said: PostedLine, stamps: Stamps, layout: ValueFileLayout) -> str:
    match column.value:
        case "constant":
            return column.text
        case "valuation_date":
            return stamps.valuation_date.strftime(layout.date_format)
        case "run_id" | "tax_year":
            return str(getattr(stamps, column.value))
        case "parcel_id" | "parcel_number" | "supplement":
            return str(getattr(line, column.value))
        case _:
            return str(getattr(said, column.value))


def _fixed(column: ValueFileColumn, cell: str) -> str:
    width = column.width or 0
    if len(cell) > width:
        raise ValuationRefusedError(
            "value_file_overflow",
            f"column {column.name} has {width} characters, a value of it has {len(cell)}",
            {"column": column.name, "width": width, "needed": len(cell)},
        )
    return cell.rjust(width, column.pad) if column.align == "right" else cell.ljust(width, column.pad)


def _encoded(text: str, layout: ValueFileLayout) -> bytes:
    try:
        return text.encode(layout.encoding)
    except UnicodeEncodeError as error:
        raise ValuationRefusedError(
            "value_file_character",
            f"a parcel's number holds a character that {layout.encoding} has not",
            {"line": text.count("\n", 0, error.start) + 1},
        ) from error
