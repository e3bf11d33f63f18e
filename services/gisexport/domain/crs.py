"""Coordinate reference systems: which one is meant, and the one operation that leads from one to the other."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import CRS
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import CRSError
from pyproj.transformer import Transformer, TransformerGroup

from services.gisexport.domain.refusal import ExportRefusedError

Coordinates = npt.NDArray[np.float64]

WGS84 = "EPSG:4326"
_EPSG_CODE = re.compile(r"EPSG:(\d{4,6})", re.IGNORECASE)


@dataclass(frozen=True)
class Reprojection:
    """From `source` to `target`; `transform` is None where both are the same."""

    source: CRS
    target: CRS
    transform: Callable[[Coordinates], Coordinates] | None
    pipeline: str | None
    operation: str | None
    accuracy_m: float | None
    better_operation: str | None


def parse_crs(code: str) -> CRS:
    """The CRS of an EPSG code such as `EPSG:2927`.

    Only EPSG codes are read: PROJ itself would also take file names, PROJ strings and free text.

    Errors: `crs_unknown`; `crs_not_supported` for one that is not a plane or geographic 2D system.
    """
    match = _EPSG_CODE.fullmatch(code.strip())
    if match is None:
        raise ExportRefusedError(
            "crs_unknown", f"{code!r} is not an EPSG code such as EPSG:4326", details={"crs": code}
        )
    try:
        crs = CRS.from_epsg(int(match[1]))
    except CRSError as error:
        raise ExportRefusedError("crs_unknown", f"{code} is not known", details={"crs": code}) from error
    if not (crs.is_projected or crs.is_geographic) or len(crs.axis_info) != 2:
        message = f"{code} ({crs.name}) is not a two-dimensional system for maps"
        raise ExportRefusedError("crs_not_supported", message, details={"crs": code})
    return crs


def crs_code(crs: CRS) -> str:
    """The CRS's code, such as `EPSG:2927`."""
    return f"EPSG:{crs.to_epsg(min_confidence=100)}"


def plan_reprojection(source: CRS, target: CRS) -> Reprojection:
    """Choose one operation for all coordinates: the most accurate one that is installed.

    PROJ left to itself chooses per point and prefers differently on the way back; one named operation
    can be written into the receipt and repeated.

    Errors: `crs_outside_area` where the target's area of use does not meet the source's.
    """
    if source == target:
        return Reprojection(source, target, None, None, None, None, None)
    _check_areas_meet(source, target)
    group = _operations(source, target)
    stated = [operation for operation in group.transformers if operation.accuracy >= 0]
    chosen = min(stated, key=_accuracy_m) if stated else group.transformers[0]
    better = "" if group.best_available else group.unavailable_operations[0].name
    return Reprojection(
        source,
        target,
        _transform_with(chosen),
        chosen.to_proj4(),
        chosen.description,
        _accuracy_m(chosen) if stated else None,
        better or None,
    )


def _accuracy_m(operation: Transformer) -> float:
    return float(operation.accuracy)


def _operations(source: CRS, target: CRS) -> TransformerGroup:
    areas = [area for area in (source.area_of_use, target.area_of_use) if area is not None]
    # Operations are made for regions: the smaller area of use is where the county lies.
    area = min(areas, key=lambda area: (area.east - area.west) * (area.north - area.south), default=None)
    interest = AreaOfInterest(area.west, area.south, area.east, area.north) if area else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Best transformation is not available")  # the receipt says it
        return TransformerGroup(
            source,
            target,
            always_xy=True,
            area_of_interest=interest,  # type: ignore[arg-type]  # pyproj's stubs name a private twin of the class
        )


def _transform_with(operation: Transformer) -> Callable[[Coordinates], Coordinates]:
    def transform(coordinates: Coordinates) -> Coordinates:
        x, y = operation.transform(coordinates[:, 0], coordinates[:, 1])
        return np.column_stack([x, y])

    return transform


def _check_areas_meet(source: CRS, target: CRS) -> None:
    a, b = source.area_of_use, target.area_of_use
    # An area that crosses the antimeridian has west > east; none of ours does, so it is let through.
    if a is None or b is None or a.west > a.east or b.west > b.east:
        return
    if a.west > b.east or b.west > a.east or a.south > b.north or b.south > a.north:
        message = f"{crs_code(target)} ({target.name}) is made for {b.name}, not for {a.name}"
        raise ExportRefusedError("crs_outside_area", message, details={"crs": crs_code(target)})
