from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.gis_export import GisExportFormat
from contracts.catalog import PARCELS, CatalogField
from services.gisexport.domain.columns import convert_column
from services.gisexport.domain.formats import FORMATS
from services.gisexport.domain.plan import ColumnPlan
from services.gisexport.domain.records import ARROW_TYPES
from services.gisexport.domain.tally import Tally


def field(name: str) -> CatalogField:
    found = PARCELS.field(name)
    assert found is not None
    return found


def convert(name: str, values: list[object], form: GisExportFormat) -> tuple[list[object], Tally]:
    rules, tally, catalog_field = FORMATS[form], Tally(), field(name)
    column = ColumnPlan(catalog_field, name, rules.types[catalog_field.data_type])
    array = pa.array(values, ARROW_TYPES[catalog_field.data_type])
    return convert_column(array, column, rules, tally=tally).to_pylist(), tally


@given(st.lists(st.none() | st.decimals("-999999999999.99", "999999999999.99", places=2), max_size=20))
def test_money_becomes_the_nearest_double(values: list[Decimal | None]) -> None:
    converted, _ = convert("total_value_usd", list(values), GisExportFormat.GPKG)
    assert converted == [None if value is None else float(value) for value in values]


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=400), max_size=10))
def test_shapefile_text_is_cut_at_254_bytes_and_counted(values: list[str | None]) -> None:
    converted, tally = convert("legal_description", list(values), GisExportFormat.SHAPEFILE)
    for before, after in zip(values, converted, strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            assert isinstance(after, str)
            assert before.startswith(after)
            assert len(after.encode()) <= 254
            assert after == before or len(after.encode()) > 250
    cut = sum(1 for value in values if value is not None and len(value.encode()) > 254)
    assert tally.changes["text_truncated", "legal_description"] == cut


def test_multibyte_text_is_cut_between_characters() -> None:
    converted, _ = convert("legal_description", ["é" * 200, "x" * 253 + "é"], GisExportFormat.SHAPEFILE)
    assert converted == ["é" * 127, "x" * 253]


@pytest.mark.parametrize("form", [GisExportFormat.GPKG, GisExportFormat.CSV, GisExportFormat.SHAPEFILE])
def test_not_finite_numbers_are_missing_and_counted(form: GisExportFormat) -> None:
    converted, tally = convert("living_area_sqft", [1.5, float("nan"), float("inf"), None], form)
    assert converted == [1.5, None, None, None]
    assert tally.changes["number_not_finite", "living_area_sqft"] == 2


def test_datetimes_are_cut_to_milliseconds_or_written_whole() -> None:
    moment = datetime(2024, 5, 1, 3, 4, 5, 123456, tzinfo=UTC)
    cut, tally = convert("updated_at", [moment, moment.replace(microsecond=0), None], GisExportFormat.GPKG)
    assert cut == [moment.replace(microsecond=123000), moment.replace(microsecond=0), None]
    assert tally.changes["datetime_rounded", "updated_at"] == 1
    text, tally = convert("updated_at", [moment, None], GisExportFormat.SHAPEFILE)
    assert text == ["2024-05-01T03:04:05.123456Z", None]
    assert not tally.changes


def test_kml_drops_what_xml_cannot_hold() -> None:
    converted, tally = convert("legal_description", ["a\x01b\x1f", "tab\tline\n<&>", None], GisExportFormat.KML)
    assert converted == ["ab", "tab\tline\n<&>", None]
    assert tally.changes["text_cleaned", "legal_description"] == 1
