"""All SQL of the gisexport service: it reads published views and writes its own register of exports.

Identifiers come from the field catalogue, values are always bound.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from chassis.database import Connection
from services.gisexport.domain.filters import Condition
from services.gisexport.domain.plan import ExportPlan, is_text
from services.gisexport.domain.size import LayerSize

_OPERATORS = {"any_of": "= ANY({})", "at_least": ">= {}", "at_most": "<= {}"}


@dataclass(frozen=True)
class _Source:
    """Where a layer's rows come from; `r` is the view that the catalogue describes."""

    tables: str
    geometry: tuple[str, ...]
    geometry_bytes: str
    srid_differs: str
    box: tuple[str, str, str, str]  # west, south, east, north
    order: str


_SOURCES = {
    "parcels": _Source(
        tables="ingest.parcel_v1 AS r",
        geometry=("r.geometry_wkb",),
        geometry_bytes="octet_length(r.geometry_wkb)",
        srid_differs="r.geometry_wkb IS NOT NULL AND r.srid IS DISTINCT FROM $2::int",
        box=(
            "coalesce(r.west, r.longitude)",
            "coalesce(r.south, r.latitude)",
            "coalesce(r.east, r.longitude)",
            "coalesce(r.north, r.latitude)",
        ),
        order="r.parcel_id",
    ),
    "sales": _Source(
        tables=(
            "ingest.sale_v1 AS r LEFT JOIN ingest.parcel_v1 AS p ON p.county = r.county AND p.parcel_id = r.parcel_id"
        ),
        geometry=("p.longitude", "p.latitude"),
        geometry_bytes="21",
        srid_differs="$2::int IS NULL",
        box=("p.longitude", "p.latitude", "p.longitude", "p.latitude"),
        order="r.sale_id, r.parcel_id",
    ),
}


@dataclass(frozen=True)
class LayerContent:
    """What an export will read: its size, and the rows whose geometry is not in the county's CRS."""

    size: LayerSize
    rows_in_other_crs: int


async def read_content(connection: Connection, county: str, plan: ExportPlan, *, epsg: int) -> LayerContent:
    """Count and measure the rows before anything is written."""
    source = _SOURCES[plan.layer]
    texts = [column.field.name for column in plan.columns if is_text(column)]
    longest = [f'max(octet_length(r."{name}"::text)) AS "{name}"' for name in texts]
    measures = [
        "count(*) AS row_count",
        f"coalesce(sum({source.geometry_bytes}), 0)::bigint AS geometry_bytes",
        f"count(*) FILTER (WHERE {source.srid_differs}) AS rows_in_other_crs",
        *longest,
    ]
    where, values = _where(plan, [county, epsg])
    query = f"SELECT {', '.join(measures)} FROM {source.tables} WHERE {where}"  # noqa: S608  # see the module's head
    row = await connection.fetchrow(query, *values)
    assert row is not None  # an aggregate always gives one row
    return LayerContent(
        LayerSize(
            rows=row["row_count"],
            geometry_bytes=row["geometry_bytes"],
            text_bytes={name: row[name] or 0 for name in texts},
        ),
        row["rows_in_other_crs"],
    )


async def read_records(
    connection: Connection, county: str, plan: ExportPlan, *, batch_rows: int
) -> AsyncIterator[list[asyncpg.Record]]:
    """The rows of the layer in a stable order, `batch_rows` at a time, through a server-side cursor."""
    source = _SOURCES[plan.layer]
    names = list(dict.fromkeys([*(column.field.name for column in plan.columns), "updated_at"]))
    wanted = [*(f'r."{name}"' for name in names), *source.geometry]
    where, values = _where(plan, [county])
    selected = f"SELECT {', '.join(wanted)} FROM {source.tables}"  # noqa: S608  # see the module's head
    query = f"{selected} WHERE {where} ORDER BY {source.order}"
    cursor = await connection.cursor(query, *values)
    while records := await cursor.fetch(batch_rows):
        yield records


async def save_export_run(
    connection: Connection, county: str, job_id: UUID, *, parameters: dict[str, Any], receipt: dict[str, Any]
) -> None:
    """Enter the export into the register; a job enters once."""
    await connection.execute(
        """
        INSERT INTO gisexport.export_run (county, job_id, parameters, receipt)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (county, job_id) DO NOTHING
        """,
        county,
        job_id,
        parameters,
        receipt,
    )


def _where(plan: ExportPlan, bound: list[Any]) -> tuple[str, list[Any]]:
    """The rows asked for; `bound` holds the values that come first, the county being $1."""
    values = list(bound)
    clauses = ["r.county = $1"]
    for condition in plan.conditions:
        values.append(_bind(condition))
        clauses.append(f'r."{condition.field.name}" ' + _OPERATORS[condition.operator].format(f"${len(values)}"))
    if plan.bbox is not None:
        first = len(values) + 1
        west, south, east, north = _SOURCES[plan.layer].box
        clauses += [f"{east} >= ${first}", f"{north} >= ${first + 1}"]
        clauses += [f"{west} <= ${first + 2}", f"{south} <= ${first + 3}"]
        values += plan.bbox
    return " AND ".join(clauses), values


def _bind(condition: Condition) -> Any:
    return list(condition.values) if condition.operator == "any_of" else condition.values[0]
