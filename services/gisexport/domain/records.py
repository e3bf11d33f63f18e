"""From records as a query or a file gives them to one Arrow batch of catalogue types."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from contracts.catalog import CatalogField, DataType
from services.gisexport.domain.plan import ExportPlan
from services.gisexport.domain.refusal import ExportRefusedError

Records: TypeAlias = pa.RecordBatch | Sequence[Mapping[str, Any]]

ARROW_TYPES: Mapping[DataType, pa.DataType] = {
    DataType.TEXT: pa.string(),
    DataType.INTEGER: pa.int32(),
    DataType.NUMBER: pa.float64(),
    DataType.MONEY: pa.decimal128(16, 2),
    DataType.DATE: pa.date32(),
    DataType.TIMESTAMP: pa.timestamp("us", "UTC"),
    DataType.BOOLEAN: pa.bool_(),
    DataType.DOCUMENT: pa.string(),
}


def to_columns(records: Records, plan: ExportPlan) -> dict[str, pa.Array]:
    """The plan's fields by catalogue name, each of its catalogue type.

    Errors: `value_invalid` where a value is not of the field's type (a whole number beyond 32 bits, say).
    """
    return {column.field.name: _to_array(records, column.field) for column in plan.columns}


def read_values(records: Records, name: str) -> pa.Array | list[Any]:
    """One named column, whatever the records are; absent means all missing."""
    if isinstance(records, pa.RecordBatch):
        return records.column(name) if name in records.schema.names else pa.nulls(records.num_rows)
    return [record.get(name) for record in records]


def _to_array(records: Records, field: CatalogField) -> pa.Array:
    values, wanted = read_values(records, field.name), ARROW_TYPES[field.data_type]
    if field.data_type is DataType.DOCUMENT and isinstance(values, list):
        values = [_to_json(value) for value in values]
    try:
        return values.cast(wanted) if isinstance(values, pa.Array) else pa.array(values, wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        message = f"{field.name} holds a value that is not {field.data_type}"
        raise ExportRefusedError("value_invalid", message, details={"field": field.name}) from error


def _to_json(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
