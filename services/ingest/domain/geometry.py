"""What follows from a parcel's polygon: its place on the globe and its bounding box."""

from functools import lru_cache

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

WGS84 = 4326
_COLUMNS = ("longitude", "latitude", "west", "south", "east", "north")


def place(geometries: pl.Series, *, source_epsg: int, epsg: int) -> pl.DataFrame:
    """Hexadecimal WKB in `source_epsg` as `geometry_wkb` (hexadecimal) in `epsg`, with srid, point and box in degrees.

    The point lies inside the polygon (a representative point), which a centroid need not.
    """
    present = geometries.is_not_null()
    parsed = shapely.from_wkb(geometries.drop_nulls().str.decode("hex").to_numpy())
    stored = project(parsed, source_epsg, epsg)
    points = project(shapely.point_on_surface(stored), epsg, WGS84)
    boxes = shapely.bounds(project(stored, epsg, WGS84)).reshape(-1, 4)
    numbers = np.column_stack([shapely.get_x(points), shapely.get_y(points), boxes])
    places = present.arg_true()
    empty = pl.repeat(None, len(geometries), dtype=pl.Float64, eager=True)
    columns = [empty.scatter(places, pl.Series(numbers[:, number])).alias(name) for number, name in enumerate(_COLUMNS)]
    encoded = pl.Series(shapely.to_wkb(stored, hex=True, byte_order=1), dtype=pl.String)
    texts = pl.repeat(None, len(geometries), dtype=pl.String, eager=True).scatter(places, encoded)
    frame = pl.DataFrame([texts.alias("geometry_wkb"), *columns])
    return frame.with_columns(pl.when(present).then(pl.lit(epsg, dtype=pl.Int64)).alias("srid"))


def project(geometries: NDArray[np.object_], source_epsg: int, epsg: int) -> NDArray[np.object_]:
    """Geometries in another coordinate reference system, longitude or easting first."""
    if source_epsg == epsg or len(geometries) == 0:
        return geometries
    transformer = _transformer(source_epsg, epsg)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    moved: NDArray[np.object_] = shapely.transform(geometries, move)
    return moved


@lru_cache(maxsize=16)
def _transformer(source_epsg: int, epsg: int) -> Transformer:
    return Transformer.from_crs(source_epsg, epsg, always_xy=True)
