"""Geometries as ArcGIS writes them in JSON, as hexadecimal WKB."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

UNREADABLE = "unreadable"
"""Stands where a shape is broken, so that its row is quarantined and not landed without a shape."""


def to_wkb(geometry: dict[str, Any] | None) -> str | None:
    """Hexadecimal WKB in the geometry's own CRS; null where there is no shape."""
    try:
        shape = _shape(geometry or {})
    except (ValueError, TypeError, shapely.errors.GEOSException):
        return UNREADABLE
    return None if shape is None or shape.is_empty else shapely.to_wkb(shape, hex=True, byte_order=1)


def _shape(geometry: dict[str, Any]) -> BaseGeometry | None:
    if "rings" in geometry:
        return _polygon([shapely.LinearRing(_flat(ring)) for ring in geometry["rings"]])
    if "paths" in geometry:
        return shapely.MultiLineString([_flat(path) for path in geometry["paths"]])
    if "points" in geometry:
        return shapely.MultiPoint(_flat(geometry["points"]))
    if geometry.get("x") in {None, "NaN"}:
        return None
    return shapely.Point(geometry["x"], geometry["y"])


def _flat(points: Sequence[Sequence[float]]) -> Any:
    """Without heights and measures."""
    return np.asarray([point[:2] for point in points], dtype=float)


def _polygon(rings: list[shapely.LinearRing]) -> BaseGeometry:
    """Clockwise rings are outer ones; the others are holes, each in the smallest outer ring around it."""
    outer = [ring for ring in rings if not ring.is_ccw]
    inner = [ring for ring in rings if ring.is_ccw]
    shells = [shapely.Polygon(ring) for ring in outer]
    holes: list[list[shapely.LinearRing]] = [[] for _ in shells]
    for ring in inner:
        hole = shapely.Polygon(ring)
        around = [place for place, shell in enumerate(shells) if shell.covers(hole)]
        if around:
            holes[min(around, key=lambda place: shells[place].area)].append(ring)
        else:  # a hole in nothing: some writers turn their outer rings the other way
            shells.append(hole)
            outer.append(ring)
            holes.append([])
    parts = [shapely.Polygon(ring, inside) for ring, inside in zip(outer, holes, strict=True)]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
