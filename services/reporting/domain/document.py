"""The document that every report is before it is a PDF, a workbook or a page.

A document is frozen and JSON-serialisable: renderers lay it out and compute nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

Cell = str | int | float | None
Kind = Literal["text", "date", "year", "integer", "usd", "ratio", "decimal", "signed", "percent"]
FindingCode = Literal["within", "not_established", "outside", "informational", "too_few"]


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; `grow` marks the one that takes the width that is left."""

    key: str
    label: str
    kind: Kind = "text"
    grow: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; `total` is the closing row, `note` what a reader must know of them."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a figure means against its range: a stable code and the words for it."""

    code: FindingCode
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure with its interval, the range it is held against and the finding."""

    key: str
    label: str
    kind: Kind
    value: float | int | None
    low: float | None = None
    high: float | None = None
    range_low: float | None = None
    range_high: float | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A Vega-Lite specification with inline data, and what it shows in words."""

    key: str
    title: str
    alt_text: str
    specification: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """How something was done: prose, the formula where there is one, and where it is written."""

    key: str
    title: str
    text: str
    formula: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, in this order."""

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a report says of its own making; `watermark` is labelled facts of the data it read.

    `legal_assessment_level` is assessed over market value as the law wants it, 1.0 for full value.
    """

    county_name: str
    state: str
    office: str
    generated_at: datetime
    definition_hash: str
    watermark: tuple[tuple[str, str], ...] = ()
    legal_assessment_level: float = 1.0

    @property
    def place(self) -> str:
        """County and state as a heading names them."""
        return f"{self.county_name}, {self.state}"


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report; `summary` is its figures for other programs, `detail` names its principal table."""

    report: str
    title: str
    subtitle: str
    context: ReportContext
    parameters: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    detail: str
    confidence_level: float | None = None
    summary: Mapping[str, Cell] = field(default_factory=dict)


def to_json(document: Document) -> dict[str, Any]:
    """The document as plain JSON values."""
    plain = asdict(document)
    plain["context"]["generated_at"] = document.context.generated_at.isoformat()
    return plain


def tables_of(document: Document) -> tuple[Table, ...]:
    """Every table of the document, in its order."""
    return tuple(table for section in document.sections for table in section.tables)


def detail_table(document: Document) -> Table:
    """The principal table: the one a CSV holds."""
    return next(table for table in tables_of(document) if table.key == document.detail)


def definition_hash(report: str, arguments: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what was asked; the order of keys does not matter."""
    definition = {"report": report, "arguments": arguments}
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
