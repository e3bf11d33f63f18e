"""The catalogue against the views that are really published."""

import asyncpg
import pytest

from chassis.database import asyncpg_url
from contracts.catalog import DATASETS, DataType

COLUMN_TYPES = {
    DataType.TEXT: "text",
    DataType.INTEGER: "integer",
    DataType.NUMBER: "double precision",
    DataType.MONEY: "numeric",
    DataType.DATE: "date",
    DataType.TIMESTAMP: "timestamp with time zone",
    DataType.BOOLEAN: "boolean",
    DataType.DOCUMENT: "jsonb",
}


@pytest.mark.parametrize("name", sorted(DATASETS))
async def test_catalogue_fields_are_columns_of_their_view(database_url: str, name: str) -> None:
    dataset = DATASETS[name]
    connection = await asyncpg.connect(asyncpg_url(database_url))
    try:
        rows = await connection.fetch(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema || '.' || table_name = $1",
            dataset.view,
        )
    finally:
        await connection.close()
    published = {row["column_name"]: row["data_type"] for row in rows}
    described = {field.name: COLUMN_TYPES[field.data_type] for field in dataset.fields}
    assert described.items() <= published.items()
