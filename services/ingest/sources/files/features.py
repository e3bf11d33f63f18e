"""GeoJSON, Shapefile and GeoPackage through GDAL, in blocks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from chassis.errors import PermanentError
from contracts.mapping import ColumnType, SourceTable

_BATCH_ROWS = 8_192


def describe(path: Path, table: SourceTable) -> dict[str, Any]:
    """What the file says of itself: `fields`, `crs`, `geometry_type`.

    Raises:
        PermanentError: `source_unreadable`.
    """
    try:
        return dict(pyogrio.read_info(path, layer=_layer(table), encoding=table.file_format.encoding))
    except (DataSourceError, DataLayerError) as error:
        raise PermanentError("source_unreadable", f"{path.name} cannot be read: {error}") from error


def read_features(path: Path, table: SourceTable) -> Iterator[pl.DataFrame]:
    """The mapped columns as texts; a geometry is hexadecimal WKB in the file's own CRS.

    Raises:
        PermanentError: `source_unreadable`.
    """
    plain = [name for name, kind in table.columns.items() if kind is not ColumnType.GEOMETRY]
    has_geometry = len(plain) < len(table.columns)
    try:
        with pyogrio.open_arrow(
            path,
            layer=_layer(table),
            encoding=table.file_format.encoding,
            columns=plain,
            read_geometry=has_geometry,
            batch_size=_BATCH_ROWS,
            use_pyarrow=True,
        ) as (facts, reader):
            geometry = facts["geometry_name"] or "wkb_geometry"
            for batch in reader:
                yield _texts(table, _frame(batch), geometry)
    except (DataSourceError, DataLayerError) as error:
        raise PermanentError("source_unreadable", f"{path.name} cannot be read: {error}") from error


def _layer(table: SourceTable) -> str | int | None:
    layer = table.file_format.layer
    return int(layer) if layer is not None and layer.isdecimal() else layer


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """The batch with geometries as plain bytes."""
    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    return cast("pl.DataFrame", pl.from_arrow(pa.table(columns, batch.schema.names)))


def _texts(table: SourceTable, features: pl.DataFrame, geometry: str) -> pl.DataFrame:
    return features.select(
        _text(features, geometry if kind is ColumnType.GEOMETRY else name).alias(name)
        for name, kind in table.columns.items()
    )


def _text(features: pl.DataFrame, name: str) -> pl.Expr:
    """A value as GDAL spells it; no geometry is null."""
    if name not in features.columns:
        return pl.lit(None, dtype=pl.String)
    column, kind = pl.col(name), features.schema[name]
    if kind == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(kind, pl.List):
        return pl.struct(column).struct.json_encode()
    return column.cast(pl.String)
