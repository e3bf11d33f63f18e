"""Lays a document out as a tagged PDF (PDF/UA-1) with Typst."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typst

from services.reporting.domain.document import Cell, Column, Document, Figure, Section, Table
from services.reporting.domain.wording import written, written_date, written_figure, written_level
from services.reporting.render_chart import chart_svg

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
MOST_TABLE_ROWS = 2_000  # Typst holds about 0.2 MB a table row
WIDEST_OWN_WIDTH = 20  # characters; a text column with longer texts shares what width is left
WIDEST_SHARE = 40
LONG_WORD = re.compile(r"[^\s\u200b]{21,}")
BREAK_EVERY = 10


@dataclass(frozen=True, slots=True)
class RenderedPdf:
    """A PDF, its page count, and whether a table was cut at MOST_TABLE_ROWS."""

    content: bytes
    pages: int
    shortened: bool


def render_pdf(document: Document) -> RenderedPdf:
    """The document as PDF/UA-1; a table longer than 2,000 rows is cut and says so.

    Equal documents give equal bytes: only the bundled fonts are used and the time is the document's.
    """
    with tempfile.TemporaryDirectory(prefix="terrafusion-report-") as folder:
        root = Path(folder)
        shutil.copy(TEMPLATE, root / TEMPLATE.name)
        for section in document.sections:
            for chart in section.charts:
                (root / f"{chart.key}.svg").write_text(chart_svg(chart), encoding="utf-8")
        (root / "data.json").write_text(json.dumps(_laid_out(document)), encoding="utf-8")
        content, pages = _compile(root, document)
    shortened = any(len(table.rows) > MOST_TABLE_ROWS for section in document.sections for table in section.tables)
    return RenderedPdf(content, pages, shortened)


def _compile(root: Path, document: Document) -> tuple[bytes, int]:
    """Compile inside `root` alone: no system fonts, and package folders that do not exist."""
    nowhere = root / "no-packages"
    compiler = typst.Compiler(
        input=root / TEMPLATE.name,
        root=root,
        ignore_system_fonts=True,
        package_path=nowhere,
        package_cache_path=nowhere,
    )
    content = compiler.compile(format="pdf", pdf_standards=["ua-1"], timestamp=document.context.generated_at)
    assert isinstance(content, bytes)  # a PDF is one file; only images come as a list of pages
    pages = json.loads(compiler.query("<page-count>", field="value", one=True))
    return content, int(pages)


def _laid_out(document: Document) -> dict[str, Any]:
    """The document in words, as the template reads it."""
    context = document.context
    level = document.confidence_level
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "place": context.place,
        "office": f"{context.office}, {context.place}",
        "generated": written_date(context.generated_at),
        "definition": context.definition_hash,
        "level": f"{written_level(level)} interval" if level else "",
        "parameters": [[label, _breakable(value)] for label, value in document.parameters],
        "watermark": [[label, _breakable(value)] for label, value in context.watermark],
        "sections": [_section(section) for section in document.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "paragraphs": section.paragraphs,
        "figures": [_figure(figure) for figure in section.figures],
        "charts": [
            {"title": chart.title, "alt": chart.alt_text, "file": f"{chart.key}.svg"} for chart in section.charts
        ],
        "tables": [_table(table) for table in section.tables if table.rows],
        "notes": [
            {"key": note.key, "title": note.title, "text": note.text, "formula": note.formula,
             "reference": note.reference}
            for note in section.notes
        ],
    }  # fmt: skip


def _figure(figure: Figure) -> dict[str, str]:
    label, value, interval, allowed, finding = written_figure(figure)
    code = figure.finding.code if figure.finding else "informational"
    return {"label": label, "value": value, "interval": interval, "range": allowed, "finding": finding,
            "code": code}  # fmt: skip


def _table(table: Table) -> dict[str, Any]:
    kinds = [column.kind for column in table.columns]
    notes = [table.note] if table.note else []
    if len(table.rows) > MOST_TABLE_ROWS:
        notes.append(f"{MOST_TABLE_ROWS:,} of {len(table.rows):,} rows are shown; the whole table is in the workbook.")
    return {
        "title": table.title,
        "columns": [
            {
                "label": column.label,
                "number": column.kind not in {"text", "date"},
                "share": _share(column, (row[index] for row in table.rows[:MOST_TABLE_ROWS])),
            }
            for index, column in enumerate(table.columns)
        ],
        "rows": [
            [_breakable(written(cell, kind)) for cell, kind in zip(row, kinds, strict=True)]
            for row in table.rows[:MOST_TABLE_ROWS]
        ],
        "total": table.total and [written(cell, kind) for cell, kind in zip(table.total, kinds, strict=True)],
        "notes": notes,
    }


def _share(column: Column, cells: Iterable[Cell]) -> int:
    """The column's part of the width that is left over; 0 for one that is as wide as its longest text."""
    if column.kind != "text":
        return 0
    longest = max((len(str(cell)) for cell in cells if cell is not None), default=0)
    return min(max(longest, 10), WIDEST_SHARE) if column.grow or longest > WIDEST_OWN_WIDTH else 0


def _breakable(text: str) -> str:
    """Long words may break, so that no code or address runs out of its column."""

    def broken(match: re.Match[str]) -> str:
        word = match.group()
        return "\u200b".join(word[i : i + BREAK_EVERY] for i in range(0, len(word), BREAK_EVERY))

    return LONG_WORD.sub(broken, text)
