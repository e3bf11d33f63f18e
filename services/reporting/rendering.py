"""Makes a document's files in the format that was asked for."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from contracts.api.reporting import ReportFormat
from services.reporting.domain.document import Document, to_json
from services.reporting.render_csv import render_csv
from services.reporting.render_html import render_html
from services.reporting.render_pdf import render_pdf
from services.reporting.render_xlsx import render_xlsx

MEDIA_TYPES: dict[ReportFormat, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file of a report."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report's files, and how many pages the PDF has."""

    files: tuple[ReportFile, ...]
    pages: int | None = None


def render(document: Document, wanted: ReportFormat) -> Rendered:
    """Render the document; a PDF whose tables had to be cut brings the whole workbook with it."""
    if wanted == "pdf":
        pdf = render_pdf(document)
        files = [_file(document, "pdf", pdf.content)]
        if pdf.shortened:
            files.append(_file(document, "xlsx", render_xlsx(document)))
        return Rendered(tuple(files), pdf.pages)
    return Rendered((_file(document, wanted, RENDERERS[wanted](document)),))


def render_json(document: Document) -> bytes:
    """The document itself, charts as Vega-Lite specifications."""
    return json.dumps(to_json(document), ensure_ascii=False, allow_nan=False).encode()


RENDERERS: dict[ReportFormat, Callable[[Document], bytes]] = {
    "xlsx": render_xlsx,
    "csv": render_csv,
    "html": render_html,
    "json": render_json,
}


def _file(document: Document, made: ReportFormat, content: bytes) -> ReportFile:
    return ReportFile(f"{document.report}.{made}", MEDIA_TYPES[made], content)
