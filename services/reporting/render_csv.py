"""Writes a document's principal table as CSV."""

import csv
import io

from services.reporting.domain.document import Cell, Document, detail_table

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def render_csv(document: Document) -> bytes:
    """The principal table whole, UTF-8 with byte-order mark and plain numbers.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    table = detail_table(document)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(column.key for column in table.columns)
    writer.writerows([_safe(cell) for cell in row] for row in table.rows)
    return stream.getvalue().encode("utf-8-sig")


def _safe(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
