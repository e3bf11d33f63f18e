"""The street grid: neighborhoods, blocks and lots as adjacent polygons in the county's plane coordinates."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

SRID = 2927  # NAD83(HARN) / Washington South, US survey feet

_CENTRE_LONGITUDE, _CENTRE_LATITUDE = -119.2, 46.2
_ROTATION_RADIANS = 0.07
_STREET_WIDTH_FT = 60.0
_COLUMN_WIDTH_FT = 2_900.0
_BLOCKS_ACROSS = 3
_PARCELS_PER_NEIGHBORHOOD = 150
#: a neighborhood's usual lot, and how often a neighborhood is of that kind
_LOT_AREAS_SQFT = (6_500.0, 8_500.0, 11_000.0, 16_000.0, 45_000.0, 130_000.0)
_LOT_AREA_CHANCES = (0.25, 0.3, 0.2, 0.12, 0.09, 0.04)

type_ints = NDArray[np.int64]
type_floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lots:
    """One array element a parcel; corners run counter-clockwise and are shared exactly by neighbours."""

    neighborhood: type_ints
    block: type_ints
    lot: type_ints
    street: type_ints
    house_number: type_ints
    corners_ft: type_floats
    area_sqft: type_floats
    frontage_ft: type_floats
    depth_ft: type_floats


@dataclass(frozen=True, slots=True)
class _Neighborhood:
    """The lots of one neighborhood before it is put into its place."""

    block: type_ints
    lot: type_ints
    row: type_ints
    house_number: type_ints
    corners_ft: type_floats
    height_ft: float


def lay_out_lots(rng: np.random.Generator, parcels: int) -> Lots:
    """Lays out that many lots in neighborhoods of about 150, stacked in columns of like height."""
    count = max(1, round(parcels / _PARCELS_PER_NEIGHBORHOOD))
    sizes = np.array([parcels * (n + 1) // count - parcels * n // count for n in range(count)])
    tops_ft = np.zeros(int(np.ceil(np.sqrt(count))))
    placed: list[tuple[_Neighborhood, type_floats]] = []
    for size in sizes:
        area = rng.choice(_LOT_AREAS_SQFT, p=_LOT_AREA_CHANCES)
        neighborhood = _lay_out_neighborhood(rng, int(size), float(area))
        column = int(np.argmin(tops_ft))
        origin = np.array([column * (_COLUMN_WIDTH_FT + 2 * _STREET_WIDTH_FT), tops_ft[column]])
        placed.append((neighborhood, neighborhood.corners_ft + origin))
        tops_ft[column] += neighborhood.height_ft + 2 * _STREET_WIDTH_FT
    return _join(sizes, placed)


def _lay_out_neighborhood(rng: np.random.Generator, size: int, mean_area_sqft: float) -> _Neighborhood:
    frontage = np.sqrt(mean_area_sqft * 0.62)
    depth = mean_area_sqft / frontage
    length = _COLUMN_WIDTH_FT / _BLOCKS_ACROSS - _STREET_WIDTH_FT
    in_row = max(2, round(length / frontage))
    blocks = -(-size // (2 * in_row))
    widths = rng.uniform(0.75, 1.3, (blocks, in_row))
    across = np.concatenate([np.zeros((blocks, 1)), np.cumsum(widths, axis=1)], axis=1)
    across *= length / across[:, -1:]
    back = depth * rng.uniform(0.88, 1.12, (blocks, in_row + 1))
    block, row, place = (index.ravel() for index in np.indices((blocks, 2, in_row)))
    order = slice(0, size)
    block, row, place = block[order], row[order], place[order]
    left, right = across[block, place], across[block, place + 1]
    low = np.where(row == 0, 0.0, 1.0)
    corners = np.stack(
        [
            np.stack([left, np.where(row == 0, 0.0, back[block, place])], axis=1),
            np.stack([right, np.where(row == 0, 0.0, back[block, place + 1])], axis=1),
            np.stack([right, np.where(row == 0, back[block, place + 1], 2 * depth)], axis=1),
            np.stack([left, np.where(row == 0, back[block, place], 2 * depth)], axis=1),
        ],
        axis=1,
    )
    pitch = 2 * depth + _STREET_WIDTH_FT
    origin = np.stack([(block % _BLOCKS_ACROSS) * (length + _STREET_WIDTH_FT), (block // _BLOCKS_ACROSS) * pitch])
    return _Neighborhood(
        block=block,
        lot=row * in_row + place,
        row=block // _BLOCKS_ACROSS + row,
        house_number=100 * (block % _BLOCKS_ACROSS + 1) + 4 * place + low.astype(np.int64),
        corners_ft=corners + origin.T[:, None, :],
        height_ft=float(-(-blocks // _BLOCKS_ACROSS) * pitch),
    )


def _join(sizes: type_ints, placed: list[tuple[_Neighborhood, type_floats]]) -> Lots:
    local = np.concatenate([corners for _, corners in placed])
    corners = _to_county_plane(local)
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    return Lots(
        neighborhood=np.repeat(np.arange(len(sizes)), sizes),
        block=np.concatenate([part.block for part, _ in placed]),
        lot=np.concatenate([part.lot for part, _ in placed]),
        street=np.concatenate([7 * number + part.row for number, (part, _) in enumerate(placed)]),
        house_number=np.concatenate([part.house_number for part, _ in placed]),
        corners_ft=corners,
        area_sqft=shapely.area(shapely.polygons(corners)).round(),
        frontage_ft=np.minimum(sides[:, 0], sides[:, 2]).round(1),
        depth_ft=(sides[:, 1] + sides[:, 3]).round() / 2,
    )


def _to_county_plane(local_ft: type_floats) -> type_floats:
    """Turns and moves the grid to its place; hundredths of a foot keep shared corners identical."""
    centred = local_ft - local_ft.reshape(-1, 2).mean(axis=0)
    cosine, sine = np.cos(_ROTATION_RADIANS), np.sin(_ROTATION_RADIANS)
    turned = np.stack(
        [
            centred[..., 0] * cosine - centred[..., 1] * sine,
            centred[..., 0] * sine + centred[..., 1] * cosine,
        ],
        axis=-1,
    )
    placed: type_floats = np.round(turned + _centre_ft(), 2)
    return placed


@lru_cache(maxsize=1)
def _centre_ft() -> tuple[float, float]:
    easting, northing = Transformer.from_crs(4326, SRID, always_xy=True).transform(_CENTRE_LONGITUDE, _CENTRE_LATITUDE)
    return round(easting), round(northing)


def to_wkb_hex(corners_ft: type_floats) -> list[str]:
    """Polygons as PostgreSQL's text form of little-endian WKB; `corners_ft` is (parcels, corners, 2)."""
    return [f"\\x{text.lower()}" for text in shapely.to_wkb(shapely.polygons(corners_ft), hex=True, byte_order=1)]


def split_in_two(corners_ft: type_floats) -> tuple[type_floats, type_floats]:
    """A lot's front and rear half, cut across its depth."""
    first, second, third, fourth = corners_ft
    right, left = np.round((second + third) / 2, 2), np.round((first + fourth) / 2, 2)
    return np.stack([first, second, right, left]), np.stack([left, right, third, fourth])


def self_crossing(corners_ft: type_floats) -> type_floats:
    """The lot's corners in an order that makes its ring cross itself."""
    crossed: type_floats = corners_ft[[0, 2, 1, 3]]
    return crossed
