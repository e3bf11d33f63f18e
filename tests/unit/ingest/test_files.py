import csv
import io
import os
import string
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import PermanentError, TransientError
from services.ingest.sources.files.fixed_width import layout_of
from services.ingest.sources.files.texts import QuoteScan
from services.ingest.sources.row_hashes import with_hashes
from services.ingest.sources.source import HASH, Asked, Digest
from tests.support.deliveries import file_source, file_table, rows_of

THREE = {"id": "text", "name": "text", "value": "decimal"}
AWKWARD = st.text(st.sampled_from("ab\",;\n\r\t |é€'0"), max_size=8)
PLAIN = st.text(string.ascii_letters + string.digits + " äöüßñÿ", max_size=20)


def read_text(data: bytes, columns: dict[str, str] | None = None, **file_format: Any) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "roll.csv").write_bytes(data)
        table = file_table("roll.csv", columns or THREE, file_format=file_format)
        return rows_of(file_source(folder, table), table)


def refused(data: bytes, **file_format: Any) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        read_text(data, **file_format)
    return caught.value


def said(field: str | None, rule: st.DrawFn) -> str:
    """A field as some program might write it; one with a mark, a delimiter or a line end has to be quoted."""
    if field is None:
        return ""
    quoted = '"' + field.replace('"', '""') + '"'
    must = not field or any(mark in field for mark in '",\r\n')
    return quoted if must or rule(st.booleans()) else field


@st.composite
def records(draw: st.DrawFn) -> tuple[list[tuple[str, str | None, str | None]], bytes]:
    fields = st.one_of(st.none(), AWKWARD)
    rows = draw(st.lists(st.tuples(AWKWARD, fields, fields), min_size=1, max_size=8))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = "id,name,value" + end + end.join(",".join(said(field, draw) for field in row) for row in rows)
    return rows, (text + draw(st.sampled_from(["", end]))).encode()


@given(records())
def test_awkward_quoting_is_read_as_it_was_meant_and_nothing_is_not_the_empty_text(
    written: tuple[list[tuple[str, str | None, str | None]], bytes],
) -> None:
    rows, data = written
    assert read_text(data).select(list(THREE)).rows() == rows


@given(st.lists(st.tuples(AWKWARD, AWKWARD), min_size=1, max_size=10), st.sampled_from(",;\t|"))
def test_what_the_standard_library_writes_is_read_with_the_delimiter_found_out(
    rows: list[tuple[str, str]], delimiter: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "name"), *rows])
    data = text.getvalue().encode()
    assert read_text(data, {"id": "text", "name": "text"}).select("id", "name").rows() == rows


@given(
    st.lists(PLAIN.filter(str.strip), min_size=1, max_size=5),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
)
def test_encodings_are_found_out(names: list[str], encoding: str) -> None:
    data = ("id,name\n" + "".join(f'{place},"{name}"\n' for place, name in enumerate(names))).encode(encoding)
    assert read_text(data, {"id": "text", "name": "text"})["name"].to_list() == names


def test_an_encoding_is_as_declared_or_refused() -> None:
    data = "id,name,value\n1,Müller,3\n".encode("cp1252")
    assert read_text(data, encoding="latin-1")["name"].to_list() == ["Müller"]
    assert refused(data, encoding="utf-8").code == "source_encoding_wrong"
    assert refused(data, encoding="no-such").code == "source_encoding_wrong"
    assert refused(b"id,name,value\n1,\x81,3\n").code == "source_encoding_wrong"  # neither UTF-8 nor Windows-1252


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'id,name,value\n1,"a,2\n3,b,4\n', 2),  # a mark that is never closed
        (b'id,name,value\n1,"a"b,2\n', 2),  # text behind a closing mark
        (b'id,name,value\n1,a,2\n2,5" pipe,2\n', 3),  # inches in a field without marks
        (b'id,name,value\n1,"12"",x\n2,"13",y\n', 3),  # would be read as one record of three fields
        (b'id,name,value\n1, "a",2\n', 2),
    ],
)
def test_a_stray_quotation_mark_swallows_no_row(data: bytes, line: int) -> None:
    error = refused(data)
    assert (error.code, error.details["line"]) == ("source_line_broken", line)


def test_a_nul_is_a_matter_of_its_row_and_no_other_spelling_of_a_file() -> None:
    assert read_text(b"id,name,value\n1,a\0b,2\n2,c\0\0,3\n")["name"].to_list() == ["a\0b", "c\0\0"]
    text = "id,name,value\n1,M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller,3\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        assert refused(text.encode(encoding)).code == "source_encoding_wrong"
        assert read_text(text.encode(encoding), encoding=encoding)["value"].to_list() == ["3"]


def test_a_mark_may_be_a_letter_where_the_mapping_says_so() -> None:
    assert read_text(b'id,name,value\n2,5" pipe,2\n', quote="")["name"].to_list() == ['5" pipe']


def test_a_broken_line_is_refused_with_its_number_and_without_its_text() -> None:
    lines = b"id,name,value\n" + b"1,a,2\n" * 200_000
    for broken in (b"7,Jane Doe\n", b"7,Jane Doe,2,3\n"):
        error = refused(lines + broken)
        assert (error.code, error.details["record"]) == ("source_line_broken", 200_002)
        assert "Jane" not in str(error)
    assert refused(b"").code == "source_header_missing"
    assert refused(b"id,name,name,value\n1,a,b,2\n").code == "source_header_repeated"


@given(st.binary(max_size=60).map(lambda data: data.translate(bytes(b'ab",\n'[n % 5] for n in range(256)))), st.data())
def test_marks_are_followed_alike_however_the_file_is_cut(data: bytes, draw: st.DataObject) -> None:
    whole, cut = QuoteScan(",", '"'), QuoteScan(",", '"')
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=5)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    found = next((line for piece in pieces if (line := cut.feed(piece)) is not None), None)
    expected = whole.feed(data)
    assert (found or cut.finish()) == (expected or whole.finish())


LAYOUT = {"id": (1, 6), "name": (9, 20), "acres": (21, 30, 4)}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 999_999),
            st.text(
                st.characters(min_codepoint=33, max_codepoint=255).filter(lambda c: c not in "\x7f\x85\xa0"),
                max_size=12,
            ),
            st.one_of(st.none(), st.integers(-99_999_999, 999_999_999)),
        ),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from(["\r\n", "\n", ""]),
    st.text("xyz ", max_size=5),
)
def test_fixed_width_comes_back_as_it_was_written(
    rows: list[tuple[int, str, int | None]], end: str, last_end: str, appended: str
) -> None:
    lines = [
        f"{number:06d}xx{name:<12}{'' if acres is None else format(acres, '010d'):<10}{appended}"
        for number, name, acres in rows
    ]
    data = (end.join(lines) + last_end).encode("latin-1")
    found = read_text(data, {"id": "integer", "name": "text", "acres": "decimal"}, layout=LAYOUT)
    assert found["id"].to_list() == [f"{number:06d}" for number, *_ in rows]
    assert found["name"].to_list() == [name or None for _, name, _ in rows]
    values = found["acres"].cast(pl.Decimal(20, 4)).to_list()
    assert [None if value is None else int(value * 10_000) for value in values] == [acres for *_, acres in rows]


def test_a_short_line_is_refused_and_a_number_with_a_point_keeps_it() -> None:
    columns = {"id": "integer", "name": "text", "acres": "decimal"}
    good = b"000001xxOAK STREET   000123.50\r\n"
    assert read_text(good, columns, layout=LAYOUT)["acres"].to_list() == ["000123.50"]
    for broken in (good + b"000002xxELM\r\n", good + b"\r\n" + good):
        with pytest.raises(PermanentError) as caught:
            read_text(broken, columns, layout=LAYOUT)
        assert caught.value.details["line"] == 2
    assert read_text(good + b"\x1a", columns, layout=LAYOUT).height == 1  # how DOS ends a file


@pytest.mark.parametrize(
    ("name", "length"),
    [("appraisal_info", 9067), ("land_detail", 199), ("improvement_info", 114), ("improvement_detail", 622)],
)
def test_the_built_in_layouts_fit_their_records(name: str, length: int) -> None:
    layout = layout_of(file_table("x.txt", {"prop_id": "integer"}, file_format={"layout": name}))
    assert layout is not None
    places = sorted((place[0], place[1]) for place in layout.values())
    assert all(before[1] < after[0] for before, after in pairwise(places))
    assert places[-1][1] <= length


def test_an_appraisal_record_is_read_by_the_built_in_layout() -> None:
    record = [" "] * 9067
    for first, text in {1: "000000104711", 13: "R", 18: "02024", 547: "1-0847-300", 609: "NUÑEZ",
                        1660: "0000000000573901", 1796: "000000000125000", 1916: "000000000300000",
                        1931: "000000000012500", 1946: "000000000287500"}.items():  # fmt: skip
        record[first - 1 : first - 1 + len(text)] = text
    columns = {"prop_id": "integer", "prop_val_yr": "integer", "geo_id": "text", "py_owner_name": "text",
               "legal_acreage": "decimal", "appraised_val": "decimal", "ten_percent_cap": "decimal",
               "assessed_val": "decimal", "hood_cd": "text"}  # fmt: skip
    data = ("".join(record) + "\r\n").encode("latin-1")
    (row,) = read_text(data, columns, layout="appraisal_info").rows(named=True)
    assert (row["geo_id"], row["py_owner_name"], row["legal_acreage"]) == ("1-0847-300", "NUÑEZ", "000000000057.3901")
    assert row["hood_cd"] is None
    assert int(row["assessed_val"]) == int(row["appraised_val"]) - int(row["ten_percent_cap"])


@given(st.lists(st.tuples(st.one_of(st.none(), AWKWARD), st.one_of(st.none(), AWKWARD)), min_size=2, unique=True))
def test_rows_that_differ_have_different_hashes(rows: list[tuple[str | None, str | None]]) -> None:
    table = file_table("x.csv", {"a": "text", "b": "text"})
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    assert with_hashes(table, frame, "row")[HASH].n_unique() == len(rows)


def test_dates_are_read_as_the_mapping_says_and_others_stay() -> None:
    data = b"id,sold,at\n1,11/21/1979 0:00:00,7/5/2005 13:05:00\n2,7/5/2005,\n3,soon,x\n"
    table = {"id": "text", "sold": "date", "at": "timestamp"}
    formats = {"sold": ["%m/%d/%Y %H:%M:%S", "%m/%d/%Y"], "at": ["%m/%d/%Y %H:%M:%S"]}
    found = read_text(data, table, date_formats=formats)
    assert found["sold"].to_list() == ["1979-11-21", "2005-07-05", "soon"]
    assert found["at"].to_list() == ["2005-07-05T13:05:00", None, "x"]


def test_rows_without_a_key_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "roll.csv").write_text('id,name,value\n1,a,2\n,b,3\n"",c,4\n')
    table = file_table("roll.csv", THREE)
    source = file_source(tmp_path, table)
    assert rows_of(source, table)["name"].to_list() == ["a", "c"]
    assert pl.concat(list(source.read_keyless(table)))["name"].to_list() == ["b"]
    named = file_table("roll.csv", THREE, file_format={"empty_if_missing": ["id"]})
    source = file_source(tmp_path, named)
    assert rows_of(source, named)["id"].to_list() == ["1", "", ""]
    assert list(source.read_keyless(named)) == []
    wanted = source.read_keyed(named, ("name",), [("c",), ("nobody",)])
    assert pl.concat(list(wanted))["value"].to_list() == ["4"]


def test_years_are_read_however_they_are_padded(tmp_path: Path) -> None:
    (tmp_path / "roll.csv").write_text("id,year\n1, 2024\n2,02023\n3,2022.0\n4,\n5,x\n")
    table = file_table("roll.csv", {"id": "text", "year": "integer"}, links={"tax_year": "year"})
    assert rows_of(file_source(tmp_path, table), table, years=(2023, 2022))["id"].to_list() == ["2", "3"]


def test_a_file_that_is_the_same_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "roll.csv"
    path.write_text("id,name,value\n1,a,2\n2,b,3\n")
    table = file_table("roll.csv", THREE, years=1, links={"tax_year": "value"})
    source = file_source(tmp_path, table)
    assert source.digests([Asked(table)]) == [None]
    expected = Digest.of(rows_of(source, table)[HASH])
    mark = source.high_mark(table)
    os.utime(path, ns=(1, 1))
    again = file_source(tmp_path, table)
    assert again.digests([Asked(table), Asked(table, content="key"), Asked(table, years=(2,))]) == [
        expected,
        None,
        None,
    ]
    path.write_text("id,name,value\n1,a,2\n2,b,4\n")
    other = file_source(tmp_path, table)
    assert (other.digests([Asked(table)]), other.high_mark(table) == mark) == ([None], False)


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "roll.txt"
    path.write_text("000001\n" * 1_500_000)
    table = file_table("roll.txt", {"id": "integer"}, file_format={"layout": {"id": (1, 6)}})
    reading = file_source(tmp_path, table).read(table)
    next(reading)
    with path.open("r+b") as file:  # an edit that leaves size and time of the last change as they were
        stat = path.stat()
        file.seek(-3, os.SEEK_END)
        file.write(b"9")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(TransientError) as caught:
        list(reading)
    assert caught.value.code == "source_changed_meanwhile"


def test_a_file_that_is_replaced_after_the_opening_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "roll.csv"
    path.write_text("id,name,value\n1,a,2\n")
    table = file_table("roll.csv", THREE)
    source = file_source(tmp_path, table)
    path.write_text("id,name,value\n1,a,2\n2,b,3\n")
    with pytest.raises(TransientError, match="changed while it was read"):
        rows_of(source, table)


SQUARE = shapely.box(0, 0, 2, 2).difference(shapely.box(0.5, 0.5, 1, 1))


@pytest.mark.parametrize(("file", "layer"), [("lots.geojson", None), ("lots.shp", None), ("lots.gpkg", "parcels")])
def test_features_are_read_as_texts_with_their_geometry(tmp_path: Path, file: str, layer: str | None) -> None:
    path = tmp_path / file
    geometries = shapely.to_wkb([SQUARE, shapely.box(5, 5, 6, 6), None])
    fields = [pl.Series(["1-1", "1-2", "Ñ"]), pl.Series([1.5, 100_000.0, 2.25]), pl.Series([7, 8, 9])]
    pyogrio.raw.write(
        path,
        geometries,
        [series.to_numpy() if series.dtype != pl.String else series.to_numpy().astype(object) for series in fields],
        fields=["MAP_LOT", "acres", "units"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        **({"layer": layer} if layer else {}),
    )
    columns = {"MAP_LOT": "text", "acres": "decimal", "units": "integer", "shape": "geometry"}
    table = file_table(file, columns, file_format={"layer": layer})
    source = file_source(tmp_path, table)
    assert set(columns) <= set(source.catalog()["roll"])
    found = rows_of(source, table)
    assert found["MAP_LOT"].to_list() == ["1-1", "1-2", "Ñ"]
    assert [float(text) for text in found["acres"]] == [1.5, 100_000.0, 2.25]
    assert found["units"].to_list() == ["7", "8", "9"]
    assert found["shape"][2] is None
    assert shapely.from_wkb(found["shape"][0]).equals(SQUARE)
    assert "4326" in source.facts().more["roll"]["crs"]
    path.write_bytes(b"nothing of the sort")
    with pytest.raises(PermanentError) as caught:
        rows_of(file_source(tmp_path, table), table)
    assert caught.value.code == "source_unreadable"
