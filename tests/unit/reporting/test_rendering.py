import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import openpyxl
import pypdf
import pytest

from contracts.api.reporting import AbstractOfValuesArguments, RatioStudyArguments
from services.reporting import render_xlsx as workbooks
from services.reporting.domain.abstract_report import abstract_document
from services.reporting.domain.document import Column, Document, Section, Table, tables_of
from services.reporting.domain.ratio_report import ratio_study_document
from services.reporting.render_pdf import MOST_TABLE_ROWS, _breakable, _share, render_pdf
from services.reporting.rendering import render
from tests.support.reports import context_of, parcels_frame, random_sales, sale, sales_frame

HOSTILE = '=HYPERLINK("http://x") #panic() <b>&"\'$\\ @link *bold* _x_ `raw` ${x}'


@pytest.fixture(scope="module")
def study() -> Document:
    return ratio_study_document(random_sales(80), RatioStudyArguments(trim_outliers=True), context_of())


@pytest.fixture(scope="module")
def hostile_study() -> Document:
    rows = [
        sale(number, situs_address=HOSTILE, neighborhood=HOSTILE, parcel_number=f"+{number}", estimate_usd=3e5 + number)
        for number in range(8)
    ]
    return ratio_study_document(
        sales_frame(rows), RatioStudyArguments(neighborhoods=(HOSTILE[:64],)), context_of(county_name=HOSTILE)
    )


def long_document(rows: int) -> Document:
    columns = (Column("name", "Name", grow=True), Column("number", "Number", "integer"))
    table = Table("long", "A long table", columns, tuple((f"row {i}", i) for i in range(rows)), total=("All", rows))
    return Document("ratio_study", "Long", "", context_of(), (), (Section("s", "Section", tables=(table,)),), "long")


def pdf_text(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def test_the_pdf_is_tagged_titled_and_in_a_language(study: Document) -> None:
    rendered = render_pdf(study)
    reader = pypdf.PdfReader(io.BytesIO(rendered.content))
    assert rendered.pages == len(reader.pages) > 2
    assert reader.metadata is not None
    assert reader.metadata.title == "Assessment\N{EN DASH}Sales Ratio Study, Benton County, WA"
    catalog = reader.root_object
    assert str(catalog["/Lang"]).startswith("en")
    assert catalog["/MarkInfo"]["/Marked"]  # type: ignore[index]
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]  # type: ignore[index]
    assert b"pdfuaid:part>1<" in catalog["/Metadata"].get_object().get_data()  # type: ignore[union-attr]


def test_the_pdf_shows_the_figures_and_numbers_its_pages(study: Document) -> None:
    rendered = render_pdf(study)
    text = pdf_text(rendered.content)
    assert f"{study.summary['cod']:.2f}" in text
    assert f"{study.summary['median_ratio']:.3f}" in text
    assert f"Page 1 of {rendered.pages}" in text
    assert study.context.definition_hash[:12] in text


def test_equal_documents_give_equal_pdfs(study: Document) -> None:
    assert render_pdf(study).content == render_pdf(study).content


def test_a_countys_text_is_never_markup(hostile_study: Document) -> None:
    shown = re.sub(r"\s", "", pdf_text(render_pdf(hostile_study).content).replace("\u200b", ""))
    assert re.sub(r"\s", "", "#panic() <b>&") in shown
    assert "*bold*" in shown


@pytest.mark.slow
def test_a_long_table_is_cut_in_the_pdf_says_so_and_brings_the_workbook() -> None:
    rendered = render(long_document(MOST_TABLE_ROWS + 5), "pdf")
    assert [file.name for file in rendered.files] == ["ratio_study.pdf", "ratio_study.xlsx"]
    text = pdf_text(rendered.files[0].content)
    assert "2,000 of 2,005 rows are shown; the whole table is in the workbook." in text
    assert "row 1999" in text
    assert "row 2000" not in text
    sheet = openpyxl.load_workbook(io.BytesIO(rendered.files[1].content))["A long table"]
    assert [sheet.cell(row, 1).value for row in (2, 2006, 2007)] == ["row 0", "row 2004", "All"]


def test_the_header_of_a_table_stands_on_every_page() -> None:
    pages = pypdf.PdfReader(io.BytesIO(render_pdf(long_document(200)).content)).pages
    assert len(pages) > 2
    assert all("Number" in page.extract_text() for page in pages[:-1])


def test_the_workbook_holds_every_table_whole_with_formats(study: Document) -> None:
    book = openpyxl.load_workbook(io.BytesIO(render(study, "xlsx").files[0].content))
    assert book.sheetnames[0] == "Summary"
    assert set(book.sheetnames[1:]) == {table.title for table in tables_of(study) if table.rows}
    sheet = book["Sales used"]
    assert sheet.freeze_panes == "B2"
    assert sheet.max_row == 1 + int(study.summary["n"] or 0)
    assert (sheet["H2"].number_format, sheet["F2"].number_format) == ("0.000", "#,##0")
    assert sheet["E2"].is_date
    values = {row[0].value: row[1].value for row in book["Summary"].iter_rows(max_col=2)}
    assert values["Median ratio"] == study.summary["median_ratio"]


def test_text_is_never_a_formula_in_the_workbook(hostile_study: Document) -> None:
    book = openpyxl.load_workbook(io.BytesIO(render(hostile_study, "xlsx").files[0].content))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    assert HOSTILE in {cell.value for cell in cells if cell.data_type == "s"}


def test_sheet_names_are_legal_and_unique() -> None:
    names: set[str] = set()
    made = [workbooks._sheet_name("By [use]: code/" + "x" * 40, names) for _ in range(3)]
    assert len({name.casefold() for name in made}) == 3
    assert all(len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in made)


def test_a_table_longer_than_a_sheet_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_SHEET_ROWS", 103)
    book = openpyxl.load_workbook(io.BytesIO(render(long_document(250), "xlsx").files[0].content))
    sheets = [book[name] for name in book.sheetnames[1:]]
    names = [sheet.cell(row, 1).value for sheet in sheets for row in range(2, sheet.max_row + 1)]
    assert [sheet.max_row for sheet in sheets] == [101, 101, 52]
    assert names == [f"row {i}" for i in range(250)] + ["All"]


def test_the_csv_is_the_sale_list_and_runs_no_formula(hostile_study: Document) -> None:
    text = render(hostile_study, "csv").files[0].content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    assert rows[0]["situs_address"] == f"'{HOSTILE}"
    assert rows[0]["parcel_number"].startswith("'+")
    assert float(rows[0]["ratio"]) == pytest.approx(float(rows[0]["estimate_usd"]) / float(rows[0]["price_usd"]))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_accessible_and_escapes_every_text(hostile_study: Document) -> None:
    page = render(hostile_study, "html").files[0].content.decode()
    tags = Tags()
    tags.feed(page)
    assert "<b>" not in page
    assert "#panic() &lt;b&gt;" in page
    names = [tag for tag, _ in tags.seen]
    assert names.count("caption") == names.count("table") > 3
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in tags.seen if tag == "th")
    drawings = [attributes for tag, attributes in tags.seen if tag == "svg"]
    assert [drawing["role"] for drawing in drawings] == ["img", "img"]
    assert all(drawing["aria-label"] for drawing in drawings)


def test_the_json_is_the_document(study: Document) -> None:
    found = json.loads(render(study, "json").files[0].content)
    assert found["summary"]["n"] == study.summary["n"]
    assert found["sections"][0]["key"] == "findings"


def test_the_abstract_renders_in_every_format() -> None:
    parcels = parcels_frame([{"parcel_id": "P1", "use_code": "11", "total_value_usd": 5, "taxable_value_usd": 4}])
    document = abstract_document(parcels, AbstractOfValuesArguments(), replace(context_of(), state="NH"))
    pdf = render(document, "pdf")
    assert pdf.pages == len(pypdf.PdfReader(io.BytesIO(pdf.files[0].content)).pages)
    assert "Abstract of Assessed Values" in pdf_text(pdf.files[0].content)
    for wanted in ("xlsx", "csv", "html", "json"):
        (file,) = render(document, wanted).files
        assert file.name == f"abstract_of_values.{wanted}"
        assert file.content


def test_long_words_may_break_and_others_stay_searchable() -> None:
    assert _breakable("1-0489-301-0001-002 MAIN ST") == "1-0489-301-0001-002 MAIN ST"
    broken = _breakable(f"{'X' * 45} MAIN")
    assert broken.replace("\u200b", "") == f"{'X' * 45} MAIN"
    assert max(map(len, broken.split("\u200b"))) <= 15


@pytest.mark.parametrize(
    ("column", "longest", "share"),
    [
        (Column("a", "A"), 20, 0),
        (Column("a", "A"), 21, 21),
        (Column("a", "A"), 400, 40),
        (Column("a", "A", grow=True), 3, 10),
        (Column("a", "A", "usd"), 30, 0),
    ],
)
def test_long_text_shares_the_width_that_numbers_leave(column: Column, longest: int, share: int) -> None:
    assert _share(column, ["x" * longest, None, "y"]) == share
