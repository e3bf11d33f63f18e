"""Characteristics of properties as columns, and which kind each property is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
TextArray = NDArray[np.object_]

IMPROVED_RESIDENTIAL = "improved_residential"
VACANT_LAND = "vacant_land"
OTHER = "other"
KINDS = (IMPROVED_RESIDENTIAL, VACANT_LAND, OTHER)

NUMBERS = (
    "living_area_sqft",
    "land_area_sqft",
    "year_built",
    "effective_year_built",
    "bedrooms",
    "bathrooms",
    "stories",
    "longitude",
    "latitude",
)
TEXTS = ("use_code", "neighborhood", "building_class", "condition")


@dataclass(frozen=True, kw_only=True)
class UseCodes:
    """Beginnings of the county's use codes by kind; a code that begins with neither is of kind `other`.

    With no beginnings given the characteristics decide: see `kinds`.
    """

    residential: Sequence[str] = ()
    vacant_land: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Properties:
    """Columns of equal length; a number that is not known is NaN, a text that is not known is "".

    `attributes` and `categories` are the further numbers and texts that a source has, by their names.
    """

    parcel_id: TextArray
    kind: TextArray
    use_code: TextArray
    neighborhood: TextArray
    building_class: TextArray
    condition: TextArray
    living_area_sqft: FloatArray
    land_area_sqft: FloatArray
    year_built: FloatArray
    effective_year_built: FloatArray
    bedrooms: FloatArray
    bathrooms: FloatArray
    stories: FloatArray
    longitude: FloatArray
    latitude: FloatArray
    assessed_land_share: FloatArray
    attributes: Mapping[str, FloatArray] = field(default_factory=dict)
    categories: Mapping[str, TextArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.parcel_id)

    def take(self, rows: IntArray | BoolArray) -> "Properties":
        """The properties at these positions, or where the mask holds."""
        further = ("attributes", "categories")
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in further}
        attributes = {name: values[rows] for name, values in self.attributes.items()}
        categories = {name: values[rows] for name, values in self.categories.items()}
        return Properties(**columns, attributes=attributes, categories=categories)


def properties(
    frame: pl.DataFrame,
    *,
    use_codes: UseCodes | None = None,
    attributes: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> Properties:
    """Columns of `ingest.parcel_v1` as properties; `attributes` and `categories` name columns to use beside them.

    Numbers that no property can have (a negative area, year 0, infinity) are treated as not known.
    """
    columns: dict[str, Any] = {name: _numbers(frame, name) for name in NUMBERS}
    for name in NUMBERS[:4]:
        columns[name] = np.where(columns[name] > 0, columns[name], np.nan)
    columns |= {name: _texts(frame, name) for name in TEXTS}
    return Properties(
        parcel_id=_texts(frame, "parcel_id"),
        kind=kinds(frame, use_codes or UseCodes()),
        assessed_land_share=_land_share(frame),
        **columns,
        attributes={name: _numbers(frame, name) for name in attributes},
        categories={name: _texts(frame, name) for name in categories},
    )


def kinds(frame: pl.DataFrame, use_codes: UseCodes) -> TextArray:
    """The kind of each property, by the county's use codes or else by its characteristics.

    By characteristics: a living area makes it improved residential; land without an improvement value and
    without a year built is vacant; everything else is `other`.
    """
    has_area = _numbers(frame, "living_area_sqft") > 0
    improved = (_numbers(frame, "improvement_value_usd") > 0) | (_numbers(frame, "year_built") > 0)
    if use_codes.residential or use_codes.vacant_land:
        codes = _texts(frame, "use_code")
        residential = _begins(codes, use_codes.residential)
        vacant = _begins(codes, use_codes.vacant_land) & ~has_area
    else:
        residential = has_area
        vacant = ~has_area & ~improved & (_numbers(frame, "land_area_sqft") > 0)
    return np.where(residential, IMPROVED_RESIDENTIAL, np.where(vacant, VACANT_LAND, OTHER)).astype(object)


def _land_share(frame: pl.DataFrame) -> FloatArray:
    land, total = _numbers(frame, "land_value_usd"), _numbers(frame, "total_value_usd")
    usable = (land > 0) & (total >= land)
    return np.where(usable, land / np.where(usable, total, 1.0), np.nan)


def _begins(codes: TextArray, beginnings: Sequence[str]) -> BoolArray:
    return np.array([code.startswith(tuple(beginnings)) for code in codes], dtype=bool)


def _numbers(frame: pl.DataFrame, name: str) -> FloatArray:
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    values = frame[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _texts(frame: pl.DataFrame, name: str) -> TextArray:
    if name not in frame.columns:
        return np.full(frame.height, "", dtype=object)
    return np.array(frame[name].cast(pl.String).fill_null("").to_list(), dtype=object)
