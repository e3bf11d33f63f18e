"""Writes a document as a formatted workbook."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from services.reporting.domain.document import Cell, Column, Document, Figure, Kind, Table, tables_of
from services.reporting.domain.wording import written_date, written_level

NUMBER_FORMATS: dict[Kind, str] = {
    "year": "0",
    "integer": "#,##0",
    "usd": "#,##0",
    "ratio": "0.000",
    "decimal": "0.00",
    "signed": "+0.000;-0.000;0.000",
    "percent": '0.0"%"',
    "date": "yyyy-mm-dd",
}
WIDTHS: dict[Kind, int] = {"text": 18, "date": 12, "usd": 16}
Line = list[tuple[Cell, Format | None]]
MOST_SHEET_ROWS = 1_048_576
ROWS_BESIDE_DATA = 3  # header, total and note
LONGEST_SHEET_NAME = 31


@dataclass(frozen=True, slots=True)
class Styles:
    """The formats of one workbook."""

    title: Format
    heading: Format
    quiet: Format
    wrapped: Format
    header: Format
    header_number: Format
    cell: dict[Kind, Format]
    total: dict[Kind, Format]


def render_xlsx(document: Document) -> bytes:
    """The document as a workbook: a summary sheet, then every table whole on sheets of its own.

    Text is always written as text, so a value that begins with `=` is never a formula. A table longer than
    a sheet goes on in a further one.
    """
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"constant_memory": True, "in_memory": False}) as workbook:
        workbook.set_properties({"title": document.title, "created": document.context.generated_at})
        styles = _styles(workbook)
        _summary_sheet(workbook.add_worksheet("Summary"), document, styles)
        names = {"summary"}
        for table in tables_of(document):
            if table.rows:
                _table_sheets(workbook, table, styles, names)
    return stream.getvalue()


def _styles(workbook: Workbook) -> Styles:
    kinds: tuple[Kind, ...] = ("text", *NUMBER_FORMATS)
    number = {kind: {"num_format": NUMBER_FORMATS[kind]} if kind in NUMBER_FORMATS else {} for kind in kinds}
    header = {"bold": True, "bottom": 2, "text_wrap": True, "valign": "bottom"}
    total = {"bold": True, "top": 1, "bottom": 1}
    return Styles(
        title=workbook.add_format({"bold": True, "font_size": 16}),
        heading=workbook.add_format({"bold": True, "font_size": 12, "bottom": 1}),
        quiet=workbook.add_format({"font_color": "#52606d"}),
        wrapped=workbook.add_format({"text_wrap": True, "valign": "top"}),
        header=workbook.add_format(header),
        header_number=workbook.add_format({**header, "align": "right"}),
        cell={kind: workbook.add_format(number[kind]) for kind in kinds},
        total={kind: workbook.add_format({**number[kind], **total}) for kind in kinds},
    )


def _summary_sheet(sheet: Worksheet, document: Document, styles: Styles) -> None:
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 5, 17)
    sheet.set_column(6, 6, 42)
    sheet.hide_gridlines(2)
    context = document.context
    lines: list[Line] = [
        [(document.title, styles.title)],
        [(f"{context.office}, {context.place}", styles.quiet)],
        [(document.subtitle, styles.quiet)],
        [],
        *_figure_lines(document, styles),
        [],
        [("What was asked, and of which data", styles.heading)],
        *_pair_lines((*document.parameters, *context.watermark), styles),
        [("Definition (SHA-256)", styles.quiet), (context.definition_hash, None)],
        [("Prepared", styles.quiet), (written_date(context.generated_at), None)],
        [],
        *_note_lines(document, styles),
    ]
    for row, line in enumerate(lines):
        for column, (value, style) in enumerate(line):
            _write(sheet, row, column, value, style)


def _pair_lines(pairs: tuple[tuple[str, str], ...], styles: Styles) -> Iterator[Line]:
    for label, value in pairs:
        yield [(label, styles.quiet), (value, None)]


def _figure_lines(document: Document, styles: Styles) -> Iterator[Line]:
    level = document.confidence_level
    labels = ["Measure", "Value"]
    if level:
        span = written_level(level)
        labels += [f"{span} low", f"{span} high", "IAAO range low", "IAAO range high", "Finding"]
    yield [(label, styles.header_number if 0 < i < 6 else styles.header) for i, label in enumerate(labels)]
    for section in document.sections:
        for figure in section.figures:
            yield _figure_line(figure, styles)


def _figure_line(figure: Figure, styles: Styles) -> Line:
    style = styles.cell[figure.kind]
    numbers = (figure.value, figure.low, figure.high, figure.range_low, figure.range_high)
    finding = figure.finding.text if figure.finding else None
    return [(figure.label, None), *((number, style) for number in numbers), (finding, None)]


def _note_lines(document: Document, styles: Styles) -> Iterator[Line]:
    notes = [note for section in document.sections for note in section.notes]
    if notes:
        yield [("Method", styles.heading)]
    for note in notes:
        text = " ".join(part for part in (note.text, note.formula, note.reference) if part)
        yield [(note.title, None), (text, None)]


def _table_sheets(workbook: Workbook, table: Table, styles: Styles, names: set[str]) -> None:
    rows = iter(table.rows)
    capacity = MOST_SHEET_ROWS - ROWS_BESIDE_DATA
    left = len(table.rows)
    while left > 0:
        sheet = workbook.add_worksheet(_sheet_name(table.title, names))
        left -= capacity
        _table_sheet(sheet, table, islice(rows, capacity), styles, last=left <= 0)


def _table_sheet(
    sheet: Worksheet, table: Table, rows: Iterator[tuple[Cell, ...]], styles: Styles, *, last: bool
) -> None:
    for index, column in enumerate(table.columns):
        sheet.set_column(index, index, 34 if column.grow else WIDTHS.get(column.kind, 12))
        sheet.write_string(0, index, column.label, _header_style(column, styles))
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    end = 0
    for end, row in enumerate(rows, start=1):
        _write_row(sheet, end, row, table.columns, styles.cell)
    sheet.autofilter(0, 0, end, len(table.columns) - 1)
    if last and table.total is not None:
        end += 1
        _write_row(sheet, end, table.total, table.columns, styles.total)
    if last and table.note:
        sheet.write_string(end + 1, 0, table.note, styles.quiet)


def _header_style(column: Column, styles: Styles) -> Format:
    return styles.header if column.kind in {"text", "date"} else styles.header_number


def _write_row(
    sheet: Worksheet, row: int, cells: tuple[Cell, ...], columns: tuple[Column, ...], styles: dict[Kind, Format]
) -> None:
    for index, (cell, column) in enumerate(zip(cells, columns, strict=True)):
        if column.kind == "date" and isinstance(cell, str):
            sheet.write_datetime(row, index, date.fromisoformat(cell), styles["date"])
        else:
            _write(sheet, row, index, cell, styles[column.kind])


def _write(sheet: Worksheet, row: int, column: int, value: Cell, style: Format | None) -> None:
    """Write by the value's own type; `Worksheet.write` would take a text for a formula, number or link."""
    if value is None:
        sheet.write_blank(row, column, None, style)
    elif isinstance(value, str):
        sheet.write_string(row, column, value, style)
    else:
        sheet.write_number(row, column, value, style)


def _sheet_name(title: str, names: set[str]) -> str:
    """A name that Excel takes (31 characters, none of them reserved) and that no sheet has yet."""
    plain = "".join(" " if character in "[]:*?/\\" else character for character in title).strip("' ")
    base = plain[:LONGEST_SHEET_NAME] or "Table"
    name, number = base, 2
    while name.casefold() in names:
        suffix = f" ({number})"
        name, number = base[: LONGEST_SHEET_NAME - len(suffix)] + suffix, number + 1
    names.add(name.casefold())
    return name
