import pytest

from contracts.api.gis_export import GisExportFormat, GisExportParameters, GisExportSettings
from contracts.catalog import DATASETS
from services.gisexport.domain.formats import FORMATS
from services.gisexport.domain.plan import ExportPlan, plan_export
from services.gisexport.domain.refusal import ExportRefusedError
from services.gisexport.domain.size import LayerSize, check_size, estimate_bytes


def plan(
    settings: GisExportSettings | None = None, *, county_crs: str = "EPSG:2927", **parameters: object
) -> ExportPlan:
    asked = GisExportParameters.model_validate(parameters)
    return plan_export(asked, settings or GisExportSettings(), county="demo", county_crs=county_crs)


def refusal(settings: GisExportSettings | None = None, **parameters: object) -> ExportRefusedError:
    with pytest.raises(ExportRefusedError) as refused:
        plan(settings, **parameters)
    return refused.value


def test_every_format_has_rules() -> None:
    assert set(FORMATS) == set(GisExportFormat)


@pytest.mark.parametrize(
    "crs", ["EPSG:99999", "EPSG:0", "4326", "+proj=longlat", "/etc/passwd", "EPSG:4326+5773", " ", "EPSG:"]
)
def test_unknown_crs_is_refused(crs: str) -> None:
    assert refusal(crs=crs).code == "crs_unknown"


@pytest.mark.parametrize("crs", ["EPSG:4978", "EPSG:4979", "EPSG:5773"])
def test_crs_that_is_not_for_maps_is_refused(crs: str) -> None:
    assert refusal(crs=crs).code == "crs_not_supported"


def test_crs_of_another_region_is_refused() -> None:
    refused = refusal(crs="EPSG:3437")
    assert (refused.code, refused.details["crs"]) == ("crs_outside_area", "EPSG:3437")


@pytest.mark.parametrize("form", ["geojson", "geojsonseq", "kml"])
def test_geographic_formats_take_4326_only(form: str) -> None:
    refused = refusal(format=form, crs="EPSG:2927")
    assert refused.code == "crs_not_allowed_for_format"
    assert refused.details == {"crs": "EPSG:2927", "format": form}
    assert plan(format=form).reprojection.target.to_epsg() == 4326
    assert plan(format=form, crs="epsg:4326").reprojection.target.to_epsg() == 4326


def test_one_named_operation_is_the_same_both_ways() -> None:
    out, back = plan(format="geojson").reprojection, plan(layer="sales", crs="EPSG:2927").reprojection
    assert out.accuracy_m == back.accuracy_m == 1.0
    assert out.pipeline is not None
    assert out.pipeline.startswith("+proj=pipeline")
    assert out.operation is not None
    assert "NAD83(HARN) to WGS 84 (3)" in out.operation


def test_missing_grid_is_named() -> None:
    reprojection = plan(county_crs="EPSG:3437", format="geojson").reprojection
    assert reprojection.better_operation is not None
    assert "NAD83 to WGS 84" in reprojection.better_operation


def test_unknown_and_repeated_fields_are_named() -> None:
    refused = refusal(fields=["parcel_id", "owner_name"])
    assert (refused.code, refused.details["field"]) == ("field_unknown", "owner_name")
    repeated = refusal(fields=["parcel_id", "zoning", "parcel_id"])
    assert (repeated.code, repeated.details["fields"]) == ("field_repeated", ["parcel_id"])


def test_format_must_be_allowed_by_the_county() -> None:
    settings = GisExportSettings(formats=("gpkg", "csv"))
    refused = refusal(settings, format="shapefile")
    assert (refused.code, refused.details["allowed"]) == ("format_not_allowed", ["gpkg", "csv"])


def test_county_settings_decide_what_is_left_out() -> None:
    settings = GisExportSettings(
        default_format="shapefile",
        default_crs="EPSG:4326",
        default_fields={"parcels": ("parcel_id", "total_value_usd")},
        shapefile_names={"parcels": {"total_value_usd": "APPRAISED"}},
    )
    planned = plan(settings)
    assert planned.rules.format == "shapefile"
    assert planned.reprojection.target.to_epsg() == 4326
    assert [column.written_name for column in planned.columns] == ["PARCEL_ID", "APPRAISED"]


@pytest.mark.parametrize("layer", ["parcels", "sales"])
def test_shapefile_names_are_short_and_unique(layer: str) -> None:
    everything = [field.name for field in DATASETS[layer].fields]
    names = [column.written_name for column in plan(layer=layer, format="shapefile", fields=everything).columns]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 10 and name.isascii() for name in names)


@pytest.mark.parametrize(
    "settings",
    [
        {"shapefile_names": {"parcels": {"total_value_usd": "TOTAL_VALUE"}}},
        {"shapefile_names": {"parcels": {"total_value_usd": "LAND_VAL"}}},
        {"shapefile_names": {"parcels": {"nothing": "NOTHING"}}},
        {"default_fields": {"sales": ["zoning"]}},
        {"formats": ["csv"]},
        {"allowed": ["csv"]},
    ],
)
def test_wrong_county_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        GisExportSettings.model_validate(settings)


def test_shapefile_beyond_two_gigabytes_is_refused_before_writing() -> None:
    small, large = LayerSize(rows=100_000, geometry_bytes=20_000_000), LayerSize(rows=4_000_000)
    shapefile = plan(format="shapefile")
    check_size(shapefile, small)
    with pytest.raises(ExportRefusedError) as refused:
        check_size(shapefile, large)
    assert refused.value.code == "export_too_large"
    assert refused.value.details["needed_bytes"] == estimate_bytes(shapefile, large) > 2**31
    with pytest.raises(ExportRefusedError):
        check_size(shapefile, LayerSize(rows=1, geometry_bytes=2**31))
    check_size(plan(format="gpkg"), large)
