"""4,299 real parcels through each main format, read back and compared with what went in."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Geod

from contracts.api.gis_export import GisExportParameters, GisExportSettings
from services.gisexport.domain.crs import parse_crs, plan_reprojection
from services.gisexport.domain.plan import plan_export
from services.gisexport.domain.records import to_columns
from services.gisexport.domain.size import LayerSize, estimate_bytes
from tests.support.shared_data import shared_data
from tests.unit.gisexport.conftest import Export

pytestmark = pytest.mark.slow

COUNTY_CRS = "EPSG:3437"  # New Hampshire, US survey feet
FIELDS = [
    "parcel_id",
    "use_code",
    "situs_address",
    "total_value_usd",
    "last_sale_date",
    "living_area_sqft",
    "year_built",
]


@pytest.fixture(scope="module")
def parcels() -> list[dict[str, Any]]:
    features = json.loads(shared_data("lebanon_nh/parcels.geojson").read_text(encoding="utf-8"))["features"]
    to_county = plan_reprojection(parse_crs("EPSG:4326"), parse_crs(COUNTY_CRS)).transform
    assert to_county is not None
    shapes = shapely.transform([shapely.from_geojson(json.dumps(one["geometry"])) for one in features], to_county)
    return [
        to_record(f"{number:05d}", feature["properties"], bytes(wkb))
        for number, (feature, wkb) in enumerate(zip(features, shapely.to_wkb(shapes), strict=True))
    ]


def to_record(parcel_id: str, given: dict[str, Any], wkb: bytes) -> dict[str, Any]:
    sold, value, year = given["last_sale_date"], given["assessed_total"], given["year_built"]
    return {
        "parcel_id": parcel_id,
        "use_code": given["use_code"],
        "situs_address": given["situs_address"],
        "total_value_usd": None if value is None else Decimal(str(value)).quantize(Decimal("0.01")),
        "last_sale_date": None if sold is None else date.fromisoformat(sold[:10]),
        "living_area_sqft": given["living_area_sqft"],
        "year_built": None if year is None else int(year),
        "geometry_wkb": wkb,
    }


def in_batches(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (records[start : start + 1000] for start in range(0, len(records), 1000))


@pytest.mark.parametrize("form", ["gpkg", "shapefile", "geojson", "flatgeobuf", "filegdb"])
def test_attributes_and_areas_come_back(export: Export, parcels: list[dict[str, Any]], form: str) -> None:
    receipt, folder = export(list(in_batches(parcels)), county_crs=COUNTY_CRS, format=form, fields=FIELDS)
    name = receipt.layers[0].file
    path = folder / name if (folder / name).exists() else folder.parent / "unpacked" / name
    meta, table = pyogrio.read_arrow(path)
    assert (receipt.rows.read, receipt.rows.written, table.num_rows) == (4299, 4299, 4299)
    names = {field.name: field.written_name for field in receipt.fields}
    table = table.sort_by(names["parcel_id"])
    for field in FIELDS:
        expected = [plain(record[field]) for record in parcels]
        assert [plain(value) for value in table[names[field]].to_pylist()] == expected, field
    back = shapely.from_wkb(table[meta["geometry_name"] or "wkb_geometry"].to_numpy())
    given = shapely.from_wkb([record["geometry_wkb"] for record in parcels])
    assert shapely.is_valid(back).all()
    if form == "geojson":
        compare_on_ellipsoid(given, back)
    elif form == "filegdb":  # coordinates are integers on the format's own grid
        assert shapely.hausdorff_distance(given, back).max() < 0.001
    else:
        assert shapely.equals(given, back).all()


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    return value or None if isinstance(value, str) else value


def compare_on_ellipsoid(given: Any, back: Any) -> None:
    # On the ellipsoid and in the county's plane, areas agree to the plane's scale factor (better than 2 in 10,000).
    geod = Geod(ellps="GRS80")
    areas = np.array([geod.geometry_area_perimeter(shape)[0] for shape in back]) / 0.3048006096**2
    assert np.abs(areas / shapely.area(given) - 1).max() < 0.01
    assert abs(areas.sum() / shapely.area(given).sum() - 1) < 2e-4


def test_estimate_bounds_the_table_that_is_written(export: Export, parcels: list[dict[str, Any]]) -> None:
    asked = GisExportParameters.model_validate({"format": "shapefile", "fields": FIELDS})
    plan = plan_export(asked, GisExportSettings(), county="demo", county_crs=COUNTY_CRS)
    columns = to_columns(parcels, plan)
    size = LayerSize(
        rows=len(parcels),
        geometry_bytes=sum(len(record["geometry_wkb"]) for record in parcels),
        text_bytes={
            name: max(len((value or "").encode()) for value in columns[name].to_pylist())
            for name in ("parcel_id", "use_code", "situs_address")
        },
    )
    _, folder = export(list(in_batches(parcels)), county_crs=COUNTY_CRS, format="shapefile", fields=FIELDS)
    unpacked = folder.parent / "unpacked"
    largest = max((unpacked / f"demo_parcels.{suffix}").stat().st_size for suffix in ("shp", "dbf"))
    assert largest <= estimate_bytes(plan, size) <= 1.1 * largest
