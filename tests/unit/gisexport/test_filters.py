from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from contracts.api.gis_export import GisExportParameters
from contracts.catalog import DATASETS, PARCELS
from services.gisexport.domain.filters import compile_filters
from services.gisexport.domain.refusal import ExportRefusedError


def compiled(filters: dict[str, object], layer: str = "parcels") -> list[tuple[str, str, tuple[object, ...]]]:
    parsed = GisExportParameters.model_validate({"filters": filters}).filters
    conditions = compile_filters(DATASETS[layer], parsed)
    return [(condition.field.name, condition.operator, condition.values) for condition in conditions]


def test_values_lists_and_ranges_get_the_fields_type() -> None:
    assert compiled({"use_code": "1010"}) == [("use_code", "any_of", ("1010",))]
    assert compiled({"neighborhood": ["R1", "R2"]}) == [("neighborhood", "any_of", ("R1", "R2"))]
    assert compiled({"is_active": True}) == [("is_active", "any_of", (True,))]
    assert compiled({"year_built": {"min": 1990, "max": 2000.0}}) == [
        ("year_built", "at_least", (1990,)),
        ("year_built", "at_most", (2000,)),
    ]
    assert compiled({"total_value_usd": {"min": 0.1}}) == [("total_value_usd", "at_least", (Decimal("0.1"),))]
    assert compiled({"last_sale_date": {"max": "2024-05-01"}}) == [
        ("last_sale_date", "at_most", (date(2024, 5, 1),)),
    ]
    assert compiled({"updated_at": {"min": "2024-05-01T10:00"}}) == [
        ("updated_at", "at_least", (datetime(2024, 5, 1, 10, tzinfo=UTC),)),
    ]
    assert compiled({"is_qualified": [True]}, "sales") == [("is_qualified", "any_of", (True,))]


def test_unknown_field_is_named() -> None:
    with pytest.raises(ExportRefusedError) as refused:
        compiled({"name; drop table x": "a"})
    assert (refused.value.code, refused.value.details["field"]) == ("field_unknown", "name; drop table x")


@pytest.mark.parametrize(
    "filters",
    [
        {"use_code": 1010},
        {"year_built": "1990"},
        {"year_built": 1990.5},
        {"year_built": True},
        {"year_built": 2**31},
        {"total_value_usd": "a lot"},
        {"living_area_sqft": {"min": "small"}},
        {"last_sale_date": "May 2024"},
        {"last_sale_date": 2024},
        {"updated_at": "yesterday"},
        {"is_active": {"min": False}},
        {"is_active": "true"},
        {"attributes": "x"},
    ],
)
def test_values_of_another_type_are_refused(filters: dict[str, object]) -> None:
    with pytest.raises(ExportRefusedError) as refused:
        compiled(filters)
    assert refused.value.code == "filter_invalid"
    assert refused.value.details == {"field": next(iter(filters))}


@pytest.mark.parametrize("filters", [{"a": None}, {"a": []}, {"a": {}}, {"a": {"minimum": 1}}, {"a": [[1]]}])
def test_malformed_filters_are_refused_by_the_contract(filters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        GisExportParameters.model_validate({"filters": filters})


def test_every_filterable_field_compiles() -> None:
    by_type = {"text": "x", "integer": 1, "number": 1.5, "money": 2, "date": "2024-01-01", "boolean": True}
    by_type["timestamp"] = "2024-01-01T00:00:00Z"
    wanted = {field.name: by_type[field.data_type] for field in PARCELS.fields if field.data_type != "document"}
    assert [name for name, _, _ in compiled(wanted)] == list(wanted)
