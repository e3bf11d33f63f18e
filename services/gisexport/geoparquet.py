"""GeoParquet 1.1, which the GDAL of the wheel cannot write: WKB, PROJJSON, bounds in the footer."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS


def write_geoparquet(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, *, geometry: str, crs: CRS
) -> None:
    """Write `batches` one row group each; `geometry` is the WKB column (geoparquet.org, specification 1.1)."""
    types: set[str] = set()
    bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            geometries = shapely.from_wkb(batch.column(geometry).to_numpy(zero_copy_only=False))
            types |= {shape.geom_type for shape in geometries if shape is not None}
            box = shapely.total_bounds(geometries)
            bounds = np.array([*np.fmin(bounds[:2], box[:2]), *np.fmax(bounds[2:], box[2:])])
            writer.write_batch(batch)
        column = {
            "encoding": "WKB",
            "geometry_types": sorted(types),
            "crs": crs.to_json_dict(),
            "orientation": "counterclockwise",
            **({"bbox": bounds.tolist()} if np.isfinite(bounds).all() else {}),
        }
        footer = {"version": "1.1.0", "primary_column": geometry, "columns": {geometry: column}}
        writer.add_key_value_metadata({"geo": json.dumps(footer)})
