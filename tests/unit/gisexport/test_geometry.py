import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box

from contracts.api.gis_export import GisExportParameters, GisExportSettings
from services.gisexport.domain.geometry import Geometries, prepare_geometries, read_wkb
from services.gisexport.domain.plan import plan_export
from services.gisexport.domain.tally import Tally

BOWTIE = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])


def prepare(*shapes: shapely.Geometry, form: str = "gpkg", county_crs: str = "EPSG:2927") -> tuple[Geometries, Tally]:
    plan = plan_export(
        GisExportParameters.model_validate({"format": form}), GisExportSettings(), county="demo", county_crs=county_crs
    )
    tally = Tally()
    return prepare_geometries(np.array(shapes, dtype=object), plan, tally), tally


def test_polygons_are_promoted_and_counted() -> None:
    prepared, tally = prepare(box(0, 0, 1, 1), MultiPolygon([box(0, 0, 1, 1)]), None)
    assert [shape and shape.geom_type for shape in prepared] == ["MultiPolygon", "MultiPolygon", None]
    assert tally.geometry("geometry_promoted") == 1


def test_invalid_polygon_is_repaired_keeping_its_area() -> None:
    prepared, tally = prepare(BOWTIE)
    assert shapely.is_valid(prepared).all()
    assert prepared[0].area == 50
    assert tally.geometry("geometry_repaired") == 1


def test_polygon_without_area_collapses() -> None:
    prepared, tally = prepare(Polygon([(0, 0), (5, 5), (0, 0), (5, 5)]))
    assert prepared[0] is None
    assert (tally.geometry("geometry_collapsed"), tally.geometry("geometry_repaired")) == (1, 0)


def test_collection_keeps_its_polygons() -> None:
    mixed = GeometryCollection([box(0, 0, 2, 2), GeometryCollection([box(1, 1, 3, 3), Point(9, 9)])])
    only_polygons = GeometryCollection([box(0, 0, 1, 1), box(5, 5, 6, 6)])
    prepared, tally = prepare(mixed, only_polygons)
    assert [shape.geom_type for shape in prepared] == ["MultiPolygon", "MultiPolygon"]
    assert shapely.is_valid(prepared).all()
    assert [shape.area for shape in prepared] == [7, 2]
    assert tally.geometry("geometry_parts_dropped") == 1


def test_heights_are_dropped_and_counted() -> None:
    prepared, tally = prepare(Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5)]))
    assert not prepared[0].has_z
    assert tally.geometry("geometry_dimensions_dropped") == 1


def test_coordinates_out_of_the_crs_reach_are_counted() -> None:
    prepared, tally = prepare(box(1e300, 1e300, 2e300, 2e300), form="geojson")
    assert prepared[0] is None
    assert tally.geometry("geometry_collapsed") == 1


def test_bad_and_empty_wkb_are_counted_apart() -> None:
    tally = Tally()
    shapes = read_wkb([b"not wkb", bytes(shapely.to_wkb(Polygon())), None, bytes(shapely.to_wkb(Point(1, 2)))], tally)
    assert [shape is None for shape in shapes] == [True, True, True, False]
    assert (tally.geometry("geometry_unreadable"), tally.geometry("geometry_empty")) == (1, 1)


def test_lines_and_points_are_promoted_to_their_own_kind() -> None:
    prepared, _ = prepare(Point(1, 2), LineString([(0, 0), (1, 1)]))
    assert [shape.geom_type for shape in prepared] == ["MultiPoint", "MultiLineString"]


coordinates = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(st.lists(st.lists(coordinates, min_size=3, max_size=8), min_size=1, max_size=5))
def test_whatever_comes_in_valid_outward_counterclockwise_polygons_come_out(rings: list[list[tuple[int, int]]]) -> None:
    # About 1 cm to 40 cm across, where rounding to 7 decimals of a degree bites.
    shapes = [Polygon([(1_640_000 + x / 30, 300_000 + y / 30) for x, y in ring]) for ring in rings]
    prepared, tally = prepare(*shapes, form="geojson")
    for shape in prepared:
        if shape is not None:
            assert shape.geom_type == "MultiPolygon"
            assert shape.is_valid
            assert all(part.exterior.is_ccw for part in shape.geoms)
            rounded = np.round(shapely.get_coordinates(shape), 7)
            assert np.abs(rounded - shapely.get_coordinates(shape)).max() < 1e-9
    assert sum(shape is None for shape in prepared) == tally.geometry("geometry_collapsed")
