"""One batch of records to the batches that the files take."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from services.gisexport.domain.columns import convert_column, written_arrow_type
from services.gisexport.domain.geometry import Geometries, geometry_kinds, prepare_geometries, read_points, read_wkb
from services.gisexport.domain.plan import ExportPlan
from services.gisexport.domain.records import Records, read_values, to_columns
from services.gisexport.domain.tally import Tally

GEOMETRY = "geometry"
WKB_FIELD = "geometry_wkb"


@dataclass(frozen=True)
class ConvertedBatch:
    """`main` is of one geometry type; the rest is what the format cannot hold beside it."""

    main: pa.RecordBatch
    without_geometry: pa.RecordBatch | None
    other_types: dict[str, pa.RecordBatch]


def written_schema(plan: ExportPlan) -> pa.Schema:
    """Arrow schema of every batch that is written."""
    fields = [
        pa.field(column.written_name, written_arrow_type(column.written_type, plan.rules)) for column in plan.columns
    ]
    return pa.schema([*fields, pa.field(GEOMETRY, pa.binary())])


def convert_batch(records: Records, plan: ExportPlan, tally: Tally) -> ConvertedBatch:
    """Convert values and geometries, and split off the rows that the main layer cannot take."""
    geometries = prepare_geometries(_read_geometries(records, plan, tally), plan, tally)
    columns = to_columns(records, plan)
    arrays = [convert_column(columns[column.field.name], column, plan.rules, tally=tally) for column in plan.columns]
    wkb = pa.array(shapely.to_wkb(geometries, byte_order=1), pa.binary())
    batch = pa.record_batch([*arrays, wkb], schema=written_schema(plan))
    tally.rows_read += batch.num_rows
    tally.without_geometry += wkb.null_count
    _note_updated_at(records, tally)
    return _split(batch, geometries, plan, tally)


def _read_geometries(records: Records, plan: ExportPlan, tally: Tally) -> Geometries:
    if plan.geometry_type == "Point":
        return read_points(_list(records, "longitude"), _list(records, "latitude"))
    return read_wkb(_list(records, WKB_FIELD), tally)


def _list(records: Records, name: str) -> list[Any]:
    values = read_values(records, name)
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _note_updated_at(records: Records, tally: Tally) -> None:
    moments = [moment for moment in _list(records, "updated_at") if moment is not None]
    latest = max(moments, default=None)
    if latest is not None and (tally.source_updated_at is None or latest > tally.source_updated_at):
        tally.source_updated_at = latest


def _split(batch: pa.RecordBatch, geometries: Geometries, plan: ExportPlan, tally: Tally) -> ConvertedBatch:
    kinds = geometry_kinds(geometries)
    is_missing = kinds == ""
    main_kind = "MultiPoint" if plan.geometry_type == "Point" else plan.geometry_type
    is_other = ~is_missing & (kinds != main_kind)
    if plan.rules.mixes_geometry_types:
        is_other[:] = False
    tally.count("geometry_other_type", int(np.sum(is_other)))
    is_aside = is_missing if not plan.rules.holds_null_geometry else np.zeros_like(is_missing)
    if not (is_other.any() or is_aside.any()):
        return ConvertedBatch(batch, None, {})
    return ConvertedBatch(
        main=_rows(batch, ~(is_other | is_aside)),
        without_geometry=_rows(batch, is_aside) if is_aside.any() else None,
        other_types={kind: _rows(batch, is_other & (kinds == kind)) for kind in sorted(set(kinds[is_other]))},
    )


def _rows(batch: pa.RecordBatch, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> pa.RecordBatch:
    return pc.filter(batch, pa.array(chosen.astype(bool)))
