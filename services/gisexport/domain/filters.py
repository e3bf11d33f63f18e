"""Typed filters: what the caller wrote, checked against the catalogue and made into values of the field's type."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeGuard

from contracts.api.gis_export import FilterRange, Filters, FilterValue
from contracts.catalog import CatalogField, Dataset, DataType
from services.gisexport.domain.refusal import ExportRefusedError

TypedValue = str | int | float | Decimal | date | datetime | bool
Operator = Literal["any_of", "at_least", "at_most"]


@dataclass(frozen=True)
class Condition:
    """`field` is a catalogue name, never the caller's text; `any_of` carries several values."""

    field: CatalogField
    operator: Operator
    values: tuple[TypedValue, ...]


def compile_filters(dataset: Dataset, filters: Filters) -> tuple[Condition, ...]:
    """The conditions that all must hold.

    Errors: `field_unknown`, `filter_invalid` (a value not of the field's type, or a field that cannot be filtered).
    """
    conditions: list[Condition] = []
    for name, wanted in filters.items():
        field = find_field(dataset, name)
        if field.data_type is DataType.DOCUMENT:
            raise _invalid(field, "cannot be filtered")
        if isinstance(wanted, FilterRange):
            conditions += _range(field, wanted)
        else:
            values = wanted if isinstance(wanted, list) else [wanted]
            conditions.append(Condition(field, "any_of", tuple(_typed(field, value) for value in values)))
    return tuple(conditions)


def find_field(dataset: Dataset, name: str) -> CatalogField:
    """The catalogue field called `name`. Errors: `field_unknown`."""
    field = dataset.field(name)
    if field is None:
        message = f"{dataset.name} have no field {name!r}"
        raise ExportRefusedError("field_unknown", message, details={"field": name, "layer": dataset.name})
    return field


def _range(field: CatalogField, wanted: FilterRange) -> list[Condition]:
    if field.data_type is DataType.BOOLEAN:
        raise _invalid(field, "has no order: give true or false")
    conditions: list[Condition] = []
    if wanted.min is not None:
        conditions.append(Condition(field, "at_least", (_typed(field, wanted.min),)))
    if wanted.max is not None:
        conditions.append(Condition(field, "at_most", (_typed(field, wanted.max),)))
    return conditions


def _typed(field: CatalogField, value: FilterValue) -> TypedValue:
    match field.data_type:
        case DataType.TEXT if isinstance(value, str):
            return value
        case DataType.BOOLEAN if isinstance(value, bool):
            return value
        case DataType.INTEGER if _is_number(value) and value == int(value) and abs(int(value)) < 2**31:
            return int(value)
        case DataType.NUMBER if _is_number(value):
            return float(value)
        case DataType.MONEY if _is_number(value):
            return _money(field, value)
        case DataType.DATE | DataType.TIMESTAMP if isinstance(value, str):
            return _moment(field, value)
    raise _invalid(field, f"is {field.data_type}, not {value!r}")


def _is_number(value: FilterValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _money(field: CatalogField, value: FilterValue) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise _invalid(field, f"is money, not {value!r}") from error


def _moment(field: CatalogField, value: str) -> date | datetime:
    try:
        if field.data_type is DataType.DATE:
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise _invalid(field, f"is a {field.data_type} in ISO 8601, not {value!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _invalid(field: CatalogField, problem: str) -> ExportRefusedError:
    return ExportRefusedError("filter_invalid", f"{field.name} {problem}", details={"field": field.name})
