"""Geometries of one batch: read, repaired, reprojected, made of one type; everything done is counted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from services.gisexport.domain.plan import ExportPlan
from services.gisexport.domain.tally import Tally

Geometries = npt.NDArray[np.object_]
Rows = npt.NDArray[np.bool_]

_MULTI_BY_TYPE = np.array(
    [
        "MultiPoint",
        "MultiLineString",
        "MultiLineString",
        "MultiPolygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "GeometryCollection",
        "",  # type id -1: no geometry
    ],
    dtype=object,
)
_COLLECTION = 7


def read_wkb(values: Sequence[bytes | None], tally: Tally) -> Geometries:
    """Shapely geometries; None where there was none, where it was empty, or where it was not WKB."""
    given = np.array(values, dtype=object)
    geometries: Geometries = np.atleast_1d(shapely.from_wkb(given, on_invalid="ignore"))
    has_value = np.array([value is not None for value in values], dtype=bool)
    tally.count("geometry_unreadable", int(np.sum(has_value & shapely.is_missing(geometries))))
    empty = shapely.is_empty(geometries) & ~shapely.is_missing(geometries)
    tally.count("geometry_empty", int(np.sum(empty)))
    geometries[empty] = None
    return geometries


def read_points(longitude: Sequence[float | None], latitude: Sequence[float | None]) -> Geometries:
    """Points in EPSG:4326; None where either coordinate is missing."""
    x = np.array(longitude, dtype=np.float64)
    y = np.array(latitude, dtype=np.float64)
    points: Geometries = shapely.points(x, y)
    points[~(np.isfinite(x) & np.isfinite(y))] = None
    return points


def prepare_geometries(geometries: Geometries, plan: ExportPlan, tally: Tally) -> Geometries:
    """Flat, valid, in the target CRS, rounded and oriented as the format wants, multi-part unless points are wanted.

    Outer rings run counterclockwise (RFC 7946, section 3.1.6); the Shapefile driver turns its own.
    """
    prepared = _flatten(geometries, tally)
    prepared, repaired_before = _repair(prepared, tally)
    # Reprojection and rounding can each cross two edges that ran a hair apart.
    prepared, repaired_after = _repair(_reproject(prepared, plan, tally), tally)
    prepared, repaired_rounded = _round(prepared, plan, tally)
    tally.count("geometry_repaired", int(np.sum(repaired_before | repaired_after | repaired_rounded)))
    prepared = _keep_polygons(prepared, tally)
    if plan.geometry_type != "Point":
        prepared = _promote(prepared, tally)
    return np.asarray(shapely.orient_polygons(prepared, exterior_cw=False), dtype=object)


def geometry_kinds(geometries: Geometries) -> Geometries:
    """Multi-part type name of each geometry; an empty name where there is none."""
    return np.asarray(_MULTI_BY_TYPE[shapely.get_type_id(geometries)], dtype=object)


def _flatten(geometries: Geometries, tally: Tally) -> Geometries:
    tally.count("geometry_dimensions_dropped", int(np.sum(shapely.has_z(geometries) | shapely.has_m(geometries))))
    return np.asarray(shapely.force_2d(geometries), dtype=object)


def _repair(geometries: Geometries, tally: Tally) -> tuple[Geometries, Rows]:
    invalid: Rows = ~shapely.is_valid(geometries) & ~shapely.is_missing(geometries)
    if not invalid.any():
        return geometries, invalid
    repaired = geometries.copy()
    repaired[invalid] = shapely.make_valid(geometries[invalid], method="structure", keep_collapsed=False)
    return _drop_collapsed(repaired, invalid, tally)


def _round(geometries: Geometries, plan: ExportPlan, tally: Tally) -> tuple[Geometries, Rows]:
    decimals = plan.rules.coordinate_decimals
    if decimals is None:
        return geometries, np.zeros(len(geometries), dtype=bool)
    rounded = np.asarray(
        shapely.transform(geometries, lambda coordinates: np.round(coordinates, decimals)), dtype=object
    )
    invalid: Rows = ~shapely.is_valid(rounded) & ~shapely.is_missing(rounded)
    # Slower, but the result is valid and stays on the grid, so that the driver's own rounding changes nothing.
    rounded[invalid] = shapely.set_precision(geometries[invalid], 10.0**-decimals)
    return _drop_collapsed(rounded, invalid, tally)


def _drop_collapsed(geometries: Geometries, changed: Rows, tally: Tally) -> tuple[Geometries, Rows]:
    collapsed = shapely.is_empty(geometries) & changed
    geometries[collapsed] = None
    tally.count("geometry_collapsed", int(np.sum(collapsed)))
    return geometries, changed & ~collapsed


def _reproject(geometries: Geometries, plan: ExportPlan, tally: Tally) -> Geometries:
    if plan.reprojection.transform is None:
        return geometries
    moved = np.asarray(shapely.transform(geometries, plan.reprojection.transform), dtype=object)
    return _drop_infinite(moved, tally)


def _drop_infinite(geometries: Geometries, tally: Tally) -> Geometries:
    bounds = shapely.bounds(geometries)
    infinite = ~np.isfinite(bounds).all(axis=1) & ~shapely.is_missing(geometries)
    if infinite.any():
        tally.count("geometry_collapsed", int(np.sum(infinite)))
        geometries = geometries.copy()
        geometries[infinite] = None
    return geometries


def _keep_polygons(geometries: Geometries, tally: Tally) -> Geometries:
    mixed = shapely.get_type_id(geometries) == _COLLECTION
    if not mixed.any():
        return geometries
    kept = geometries.copy()
    for index in np.flatnonzero(mixed):
        kept[index] = _largest_kind(geometries[index])
    tally.count("geometry_parts_dropped", int(np.sum(_part_counts(geometries[mixed]) > _part_counts(kept[mixed]))))
    return kept


def _largest_kind(collection: Any) -> Any:
    parts = _flat_parts(collection)
    dimensions = shapely.get_dimensions(parts)
    kept = parts[dimensions == dimensions.max()]
    return {0: shapely.multipoints, 1: shapely.multilinestrings, 2: _dissolve}[int(dimensions.max())](kept)


def _dissolve(polygons: Geometries) -> Any:
    # Polygons of one collection may overlap; as parts of one multipolygon that would be invalid.
    return shapely.multipolygons(shapely.get_parts(shapely.union_all(polygons)))


def _flat_parts(geometry: Any) -> Geometries:
    parts = shapely.get_parts(geometry)
    while (shapely.get_type_id(parts) > 3).any():
        parts = shapely.get_parts(parts)
    return np.asarray(parts[~shapely.is_empty(parts)], dtype=object)


def _part_counts(geometries: Geometries) -> npt.NDArray[np.int64]:
    return np.array([len(_flat_parts(geometry)) for geometry in geometries], dtype=np.int64)


def _promote(geometries: Geometries, tally: Tally) -> Geometries:
    promoted = geometries.copy()
    types = shapely.get_type_id(geometries)
    for type_ids, build in (
        ((0,), shapely.multipoints),
        ((1, 2), shapely.multilinestrings),
        ((3,), shapely.multipolygons),
    ):
        chosen = np.isin(types, type_ids)
        if chosen.any():
            promoted[chosen] = build(geometries[chosen], indices=np.arange(int(chosen.sum())))
    tally.count("geometry_promoted", int(np.sum((types >= 0) & (types <= 3))))
    return promoted
