"""Writes a document as one accessible page that needs nothing beside it."""

from collections.abc import Iterator
from html import escape

from services.reporting.domain.document import Cell, Chart, Column, Document, Figure, Note, Section, Table
from services.reporting.domain.wording import written, written_date, written_figure, written_level
from services.reporting.render_chart import chart_svg

STYLE = """
:root{color-scheme:light}
body{font:16px/1.5 Georgia,"Libertinus Serif",serif;color:#1f2933;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-weight:400;margin-bottom:0}
h2{margin-top:2.5rem}
table{border-collapse:collapse;font-size:.9rem;width:100%;font-variant-numeric:tabular-nums lining-nums}
caption{text-align:left;font-weight:600;padding:1rem 0 .4rem}
th,td{padding:.25rem .5rem;border-bottom:1px solid #d3d9de;text-align:left}
thead th{border-bottom:2px solid #1f2933}
tfoot th,tfoot td{font-weight:600;border-bottom:2px solid #1f2933}
th[scope=row]{font-weight:400}
.number{text-align:right}
.quiet,.note{color:#52606d}
.scroll{overflow-x:auto}
figure{margin:1rem 0}
svg{max-width:100%;height:auto}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}
dt{color:#52606d}
dd{margin:0}
"""


def render_html(document: Document) -> bytes:
    """The document as HTML in UTF-8: every text escaped, tables with captions and header scopes."""
    context = document.context
    place = escape(context.place)
    title = escape(document.title)
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}, {place}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        f'<p class="quiet">{escape(context.office)}, {place}</p>\n<h1>{title}</h1>',
        f'<p class="quiet">{escape(document.subtitle)}</p>',
        *(part for section in document.sections for part in _section(section, document.confidence_level)),
        "<h2>What was asked, and of which data</h2>",
        _pairs((*document.parameters, *context.watermark, ("Definition (SHA-256)", context.definition_hash))),
        f'<p class="quiet">Prepared {escape(written_date(context.generated_at))}</p>',
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts).encode()


def _section(section: Section, level: float | None) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    yield from (f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs)
    if section.figures:
        yield _figures(section.figures, level)
    yield from map(_chart, section.charts)
    yield from (_table(table) for table in section.tables if table.rows)
    yield from map(_note, section.notes)


def _figures(figures: tuple[Figure, ...], level: float | None) -> str:
    labels = ["Measure", "Value"]
    if level is not None:
        labels += [f"{written_level(level)} interval", "IAAO range", "Finding"]
    columns = tuple(Column(label, label, "decimal" if 0 < i < 4 else "text") for i, label in enumerate(labels))
    rows = tuple(written_figure(figure)[: len(labels)] for figure in figures)
    return _table(Table("figures", "Key figures", columns, rows))


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col"{_numeric(column)}>{escape(column.label)}</th>' for column in table.columns)
    body = "\n".join(_row(row, table.columns) for row in table.rows)
    foot = f"<tfoot>{_row(table.total, table.columns)}</tfoot>" if table.total else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll"><table><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody>{foot}</table></div>{note}"
    )


def _row(row: tuple[Cell, ...], columns: tuple[Column, ...]) -> str:
    texts = [escape(written(cell, column.kind)) for cell, column in zip(row, columns, strict=True)]
    cells = "".join(f"<td{_numeric(column)}>{text}</td>" for text, column in zip(texts[1:], columns[1:], strict=True))
    return f'<tr><th scope="row"{_numeric(columns[0])}>{texts[0]}</th>{cells}</tr>'


def _numeric(column: Column) -> str:
    return "" if column.kind in {"text", "date"} else ' class="number"'


def _chart(chart: Chart) -> str:
    label = f'<svg role="img" aria-label="{escape(chart.alt_text, quote=True)}" '
    drawing = chart_svg(chart).replace("<svg ", label, 1)
    return f"<figure><figcaption>{escape(chart.title)}</figcaption>{drawing}</figure>"


def _note(note: Note) -> str:
    parts = [f"<h3>{escape(note.title)}</h3><p>{escape(note.text)}</p>"]
    if note.formula:
        parts.append(f"<p>{escape(note.formula)}</p>")
    if note.reference:
        parts.append(f'<p class="note">Source: {escape(note.reference)}</p>')
    return "".join(parts)


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(label)}</dt><dd>{escape(value)}</dd>' for label, value in pairs)}</dl>"
