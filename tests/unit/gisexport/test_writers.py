"""Every trap of the formats, written and read back."""

import csv
import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from shapely import LineString, MultiPolygon, Point, Polygon

from contracts.api.gis_export import GisExportFormat, GisExportParameters, GisExportReceipt, GisExportSettings
from services.gisexport.domain.formats import FORMATS
from services.gisexport.domain.plan import plan_export
from services.gisexport.domain.refusal import ExportRefusedError
from services.gisexport.writers import write_export
from tests.unit.gisexport.conftest import Export, square

ALL_FIELDS = ["parcel_id", "is_active", "year_built", "living_area_sqft", "total_value_usd", "last_sale_date"]
FULL: dict[str, Any] = {
    "parcel_id": "00123",
    "is_active": True,
    "year_built": 2**31 - 1,
    "living_area_sqft": 1234.5678901234,
    "total_value_usd": Decimal("1234567890.12"),
    "last_sale_date": date(2024, 5, 1),
    "legal_description": "Lô 1, é ễ ’ “x” <&>\nline 2",  # noqa: RUF001  # a typographic quote is what people paste
    "updated_at": datetime(2024, 5, 1, 3, 4, 5, 678000, tzinfo=UTC),
    "attributes": {"b": 1, "a": "é"},
    "geometry_wkb": square(),
}
EMPTY: dict[str, Any] = {"parcel_id": "00124", "geometry_wkb": square(1_641_000)}


def written(receipt: GisExportReceipt, folder: Path) -> Path:
    """The main file, out of its archive where it came in one."""
    name = receipt.layers[0].file
    return next(path for path in (folder / name, folder.parent / "unpacked" / name) if path.exists())


def read_rows(path: Path, layer: str | None = None) -> list[dict[str, Any]]:
    meta, table = pyogrio.read_arrow(path, layer=layer)
    geometry = meta["geometry_name"] or "wkb_geometry"
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        wkb = row.pop(geometry, None)
        row["geometry"] = None if wkb is None else shapely.from_wkb(wkb)
    return rows


@pytest.mark.parametrize("form", ["gpkg", "geojson", "geojsonseq", "flatgeobuf", "filegdb", "shapefile", "geoparquet"])
def test_values_come_back_as_they_went_in(export: Export, form: str) -> None:
    fields = [*ALL_FIELDS, "legal_description"]
    receipt, folder = export([FULL, EMPTY], format=form, fields=fields)
    names = {field.name: field.written_name for field in receipt.fields}
    path = written(receipt, folder)
    rows = pq.read_table(path).to_pylist() if form == "geoparquet" else read_rows(path)
    first, second = sorted(rows, key=lambda row: str(row[names["parcel_id"]]))
    for name in fields:
        back = first[names[name]]
        expected = FULL[name]
        if isinstance(expected, Decimal):
            assert float(back) == float(expected)
        elif isinstance(expected, date) and isinstance(back, str):
            assert back == expected.isoformat()
        else:
            assert back == expected
        assert name == "parcel_id" or second[names[name]] is None
    assert receipt.rows.read == receipt.rows.written == 2


@pytest.mark.parametrize("form", list(GisExportFormat))
def test_every_format_gives_a_true_receipt(export: Export, form: GisExportFormat) -> None:
    receipt, folder = export([[FULL], [EMPTY]], format=form)
    assert receipt == GisExportReceipt.model_validate_json((folder / "receipt.json").read_bytes())
    assert {path.name for path in folder.iterdir()} == {"receipt.json", *(file.name for file in receipt.files)}
    for file in receipt.files:
        content = (folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    assert receipt.rows.written == 2
    assert receipt.geometry.promoted == 2
    assert receipt.source_updated_at == FULL["updated_at"]
    assert receipt.crs.written == ("EPSG:4326" if form in {"geojson", "geojsonseq", "kml"} else "EPSG:2927")


@pytest.mark.parametrize("form", list(GisExportFormat))
def test_no_rows_is_an_empty_file(export: Export, form: GisExportFormat) -> None:
    receipt, folder = export([], format=form)
    assert receipt.rows.written == 0
    path = written(receipt, folder)
    if form == "geoparquet":
        assert pq.read_table(path).num_rows == 0
    elif form == "geojsonseq":
        assert path.stat().st_size == 0
    else:
        assert len(read_rows(path)) == 0


def test_geojson_follows_rfc_7946(export: Export) -> None:
    clockwise = Polygon([(1_640_000, 300_000), (1_640_000, 300_100), (1_640_100, 300_100), (1_640_100, 300_000)])
    receipt, folder = export([{**FULL, "geometry_wkb": bytes(shapely.to_wkb(clockwise))}], format="geojson")
    document = json.loads(written(receipt, folder).read_text())
    assert "crs" not in document
    [feature] = document["features"]
    geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
    assert geometry.geom_type == "MultiPolygon"
    assert geometry.geoms[0].exterior.is_ccw
    for x, y in shapely.get_coordinates(geometry):
        assert (round(x, 7), round(y, 7)) == (x, y)
        assert -121 < x < -120
        assert 45 < y < 47
    assert feature["properties"]["last_sale_date"] == "2024-05-01"
    assert receipt.crs.coordinate_decimals == 7
    assert receipt.crs.pipeline is not None


def test_geojson_lines_are_rfc_7946_too(export: Export) -> None:
    receipt, folder = export([FULL, EMPTY], format="geojsonseq")
    lines = written(receipt, folder).read_text().splitlines()
    shapes = [shapely.from_geojson(json.dumps(json.loads(line)["geometry"])) for line in lines]
    assert [shape.geoms[0].exterior.is_ccw for shape in shapes] == [True, True]
    assert all(len(str(x).split(".")[1]) <= 7 for shape in shapes for x in shapely.get_coordinates(shape)[:, 0])


def test_shapefile_archive_is_complete(export: Export) -> None:
    receipt, folder = export([FULL], format="shapefile")
    with zipfile.ZipFile(folder / "demo_parcels_shapefile.zip") as archive:
        assert {name.split(".", 1)[1] for name in archive.namelist()} == {"shp", "shx", "dbf", "prj", "cpg", "csv"}
        assert archive.read("demo_parcels.cpg") == b"UTF-8"
        assert b"NAD_1983_HARN_StatePlane_Washington_South_FIPS_4602_Feet" in archive.read("demo_parcels.prj")
        rows = list(csv.DictReader(archive.read("fields.csv").decode().splitlines()))
    info = pyogrio.read_info(written(receipt, folder))
    assert [row["column"] for row in rows] == list(info["fields"])
    assert {"column": "TOTAL_VAL", "field": "total_value_usd"}.items() <= rows[15].items()
    assert info["encoding"] == "UTF-8"


def test_shapefile_text_loss_is_counted(export: Export) -> None:
    long_text = {**FULL, "legal_description": "é" * 200}
    receipt, folder = export([long_text, FULL], format="shapefile", fields=["parcel_id", "legal_description"])
    [row, _] = read_rows(written(receipt, folder))
    assert row["LEGAL_DESC"] == "é" * 127
    [loss] = [change for change in receipt.changes if change.is_loss]
    assert (loss.code, loss.field, loss.rows) == ("text_truncated", "legal_description", 1)


def test_strict_lists_every_loss_and_leaves_nothing(export: Export, tmp_path: Path) -> None:
    lossy = {**FULL, "legal_description": "x" * 300, "living_area_sqft": float("nan")}
    with pytest.raises(ExportRefusedError) as refused:
        export([lossy], format="shapefile", strict=True)
    assert refused.value.code == "export_would_lose_data"
    losses = {(loss["code"], loss["field"], loss["rows"]) for loss in refused.value.details["losses"]}
    assert losses == {("text_truncated", "legal_description", 1), ("number_not_finite", "living_area_sqft", 1)}
    assert list((tmp_path / "export").iterdir()) == []


@pytest.mark.parametrize("form", list(GisExportFormat))
def test_strict_passes_where_nothing_is_lost(export: Export, form: GisExportFormat) -> None:
    receipt, _ = export([FULL, EMPTY], format=form, strict=True)
    assert receipt.strict
    assert not [change for change in receipt.changes if change.is_loss]


def test_shapefile_dates_stay_dates_and_datetimes_become_text(export: Export) -> None:
    receipt, folder = export([FULL], format="shapefile", fields=["last_sale_date", "updated_at", "is_active"])
    [row] = read_rows(written(receipt, folder))
    assert row["SALE_DATE"] == date(2024, 5, 1)
    assert row["UPDATED_AT"] == "2024-05-01T03:04:05.678000Z"
    assert row["IS_ACTIVE"] == 1
    assert [field.conversion for field in receipt.fields] == [None, "ISO 8601 text in UTC", "1 is true, 0 is false"]


@pytest.mark.parametrize(
    ("form", "files"),
    [("shapefile", 3), ("flatgeobuf", 3), ("gpkg", 1), ("filegdb", 1)],
)
def test_other_geometry_types_get_a_layer_of_their_own(export: Export, form: str, files: int) -> None:
    shapes = [Point(1_640_000, 300_000), LineString([(1_640_000, 300_000), (1_640_100, 300_000)])]
    odd = [{"parcel_id": shape.geom_type, "geometry_wkb": bytes(shapely.to_wkb(shape))} for shape in shapes]
    receipt, folder = export([[FULL, odd[0]], [odd[1], EMPTY]], format=form)
    assert [(layer.geometry_type, layer.rows) for layer in receipt.layers] == [
        ("MultiPolygon", 2),
        ("MultiLineString", 1),
        ("MultiPoint", 1),
    ]
    assert len({layer.file for layer in receipt.layers}) == files
    several = form in {"gpkg", "filegdb"}
    for layer in receipt.layers:
        home = folder if (folder / layer.file).exists() else folder.parent / "unpacked"
        rows = read_rows(home / layer.file, layer.layer if several else None)
        assert len(rows) == layer.rows
        assert {row["geometry"].geom_type.removeprefix("Multi") for row in rows} == {
            layer.geometry_type.removeprefix("Multi")
        }


@pytest.mark.parametrize("form", ["geojson", "geojsonseq", "kml", "csv", "geoparquet"])
def test_formats_that_mix_types_keep_one_file(export: Export, form: str) -> None:
    point = {"parcel_id": "p", "geometry_wkb": bytes(shapely.to_wkb(Point(1_640_000, 300_000)))}
    receipt, _ = export([FULL, point], format=form)
    assert [layer.rows for layer in receipt.layers] == [2]


@pytest.mark.parametrize("form", list(GisExportFormat))
def test_rows_without_geometry_are_never_dropped(export: Export, form: GisExportFormat) -> None:
    rows = [FULL, {"parcel_id": "none"}, {"parcel_id": "empty", "geometry_wkb": bytes(shapely.to_wkb(Polygon()))}]
    receipt, folder = export(rows, format=form, fields=["parcel_id", "total_value_usd", "updated_at"])
    assert receipt.rows.without_geometry == 2
    assert receipt.geometry.empty == 1
    if form == "flatgeobuf":
        assert receipt.rows.without_geometry_written_as == "side_csv"
        side = (folder / "demo_parcels_without_geometry.csv").read_text()
        assert [row["parcel_id"] for row in csv.DictReader(side.splitlines())] == ["none", "empty"]
        assert "demo_parcels_without_geometry.csv" in {file.name for file in receipt.files}
        assert receipt.rows.written == 1
    else:
        assert receipt.rows.without_geometry_written_as == "null_geometry"
        assert receipt.rows.written == 3
        if form not in {"geoparquet", "csv"}:
            back = read_rows(written(receipt, folder))
            assert sum(row["geometry"] is None for row in back) == 2


def test_kml_labels_its_columns_as_text(export: Export) -> None:
    receipt, folder = export([FULL], format="kml", fields=ALL_FIELDS)
    assert {field.written_type for field in receipt.fields} == {"text"}
    [row] = read_rows(written(receipt, folder))
    assert row["total_value_usd"] == "1234567890.12"
    assert row["is_active"] == "true"


def test_csv_states_its_crs_and_keeps_text_that_looks_like_a_number(export: Export) -> None:
    receipt, folder = export([FULL, EMPTY], format="csv", fields=[*ALL_FIELDS, "attributes"])
    rows = list(csv.DictReader(written(receipt, folder).read_text().splitlines()))
    assert shapely.from_wkt(rows[0]["_WKT_EPSG_2927"]).equals(MultiPolygon([shapely.from_wkb(square())]))
    assert rows[0]["parcel_id"] == "00123"
    assert rows[0]["total_value_usd"] == "1234567890.12"
    assert rows[0]["last_sale_date"] == "2024-05-01"
    assert json.loads(rows[0]["attributes"]) == FULL["attributes"]
    assert '"00123"' in written(receipt, folder).read_text()


def test_geoparquet_footer_is_version_1_1(export: Export) -> None:
    receipt, folder = export([FULL, {"parcel_id": "none"}], format="geoparquet")
    geo = json.loads(pq.read_metadata(written(receipt, folder)).metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0"
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["MultiPolygon"])
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 2927}
    assert column["bbox"] == [1_640_000, 300_000, 1_640_100, 300_100]


def test_sales_are_points(export: Export) -> None:
    sale = {"sale_id": "s1", "sale_price_usd": Decimal(5), "longitude": -119.2, "latitude": 46.2}
    receipt, folder = export([sale, {"sale_id": "s2"}], layer="sales", format="gpkg", crs="EPSG:4326")
    first, second = read_rows(written(receipt, folder))
    assert shapely.get_coordinates(first["geometry"]).tolist() == [[-119.2, 46.2]]
    assert second["geometry"] is None
    assert receipt.layers[0].geometry_type == "Point"


def test_whole_number_beyond_32_bits_is_refused(export: Export) -> None:
    with pytest.raises(ExportRefusedError) as refused:
        export([{**FULL, "year_built": 2**31}])
    assert (refused.value.code, refused.value.details) == ("value_invalid", {"field": "year_built"})


@pytest.mark.parametrize("form", list(GisExportFormat))
def test_stopping_in_the_middle_leaves_nothing(tmp_path: Path, form: GisExportFormat) -> None:
    class StoppedError(Exception):
        pass

    def batches() -> Iterator[list[dict[str, Any]]]:
        yield [FULL]
        raise StoppedError("stop")

    plan = plan_export(GisExportParameters(format=form), GisExportSettings(), county="demo", county_crs="EPSG:2927")
    with pytest.raises(StoppedError, match="stop"):
        write_export(batches(), plan, tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_growing_beyond_the_limit_stops_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = dataclasses.replace(FORMATS[GisExportFormat.SHAPEFILE], size_limit_bytes=5_000)
    monkeypatch.setattr("services.gisexport.domain.plan.FORMATS", {GisExportFormat.SHAPEFILE: small})
    plan = plan_export(
        GisExportParameters(format=GisExportFormat.SHAPEFILE),
        GisExportSettings(),
        county="demo",
        county_crs="EPSG:2927",
    )
    with pytest.raises(ExportRefusedError) as refused:
        write_export(([FULL] * 50 for _ in range(100)), plan, tmp_path / "export")
    assert refused.value.code == "export_too_large"


def test_progress_is_told_after_every_batch(tmp_path: Path) -> None:
    plan = plan_export(GisExportParameters(), GisExportSettings(), county="demo", county_crs="EPSG:2927")
    seen: list[int] = []
    write_export([[FULL], [EMPTY, EMPTY]], plan, tmp_path / "export", after_batch=seen.append)
    assert seen == [1, 3]
