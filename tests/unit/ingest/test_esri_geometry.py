from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from services.ingest.sources.esri_geometry import UNREADABLE, to_wkb


def rings_of(shape: shapely.MultiPolygon) -> list[list[tuple[float, float]]]:
    """As ArcGIS writes it: outer rings clockwise, holes the other way, in any order."""
    outer = [list(shapely.geometry.polygon.orient(part, sign=-1.0).exterior.coords) for part in shape.geoms]
    holes = [
        list(ring.coords) for part in shape.geoms for ring in shapely.geometry.polygon.orient(part, sign=-1.0).interiors
    ]
    return holes + outer


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, unique_by=lambda p: p[:2])
)
def test_parts_and_holes_come_back_whatever_their_order(cells: list[tuple[int, int, int]]) -> None:
    parts = []
    for column, row, depth in cells:
        x, y = column * 10, row * 10
        part: BaseGeometry = shapely.box(x, y, x + 9, y + 9)
        if depth:
            part = part.difference(shapely.box(x + 1, y + 1, x + 8, y + 8))
            parts.append(part)
        if depth > 1:  # an island in the hole, which may have a hole of its own
            part = shapely.box(x + 2, y + 2, x + 7, y + 7)
            part = part.difference(shapely.box(x + 3, y + 3, x + 5, y + 5)) if depth > 2 else part
        if depth != 1:
            parts.append(part)
    shape = shapely.MultiPolygon(parts)
    found = shapely.from_wkb(to_wkb({"rings": rings_of(shape)}))
    assert found.is_valid
    assert found.normalize().equals(shape.normalize())
    assert found.area == shape.area


@pytest.mark.parametrize("geometry", [None, {}, {"rings": []}, {"x": None, "y": None}, {"x": "NaN", "y": "NaN"}])
def test_no_shape_is_null(geometry: dict[str, Any] | None) -> None:
    assert to_wkb(geometry) is None


def test_other_shapes_lose_their_heights_and_broken_ones_are_said_to_be() -> None:
    assert shapely.from_wkb(to_wkb({"x": 1.5, "y": 2, "z": 3})) == shapely.Point(1.5, 2)
    assert shapely.from_wkb(to_wkb({"points": [[1, 2, 3], [4, 5, 6]]})) == shapely.MultiPoint([(1, 2), (4, 5)])
    lines = shapely.from_wkb(to_wkb({"paths": [[[0, 0], [1, 1]]]}))
    assert lines == shapely.MultiLineString([[(0, 0), (1, 1)]])
    assert to_wkb({"rings": [[[0, 0], [1, 1]]]}) == UNREADABLE
    turned = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]  # an outer ring that runs like a hole
    assert shapely.from_wkb(to_wkb({"rings": [turned]})).area == 1
