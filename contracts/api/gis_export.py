"""GIS export: what a caller may ask for, what a county allows, and the receipt that comes with the files."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from contracts.catalog import DATASETS, ShapefileName

Layer = Literal["parcels", "sales"]


class GisExportFormat(StrEnum):
    """File formats, by the name they have in routes and county files."""

    GPKG = "gpkg"
    SHAPEFILE = "shapefile"
    GEOJSON = "geojson"
    GEOJSONSEQ = "geojsonseq"
    KML = "kml"
    FLATGEOBUF = "flatgeobuf"
    GEOPARQUET = "geoparquet"
    FILEGDB = "filegdb"
    CSV = "csv"


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


FilterValue = Annotated[str, Field(max_length=500)] | bool | int | FiniteFloat


class FilterRange(_Wire):
    """Values from `min` to `max`, both included; either may be left out, not both."""

    min: FilterValue | None = None
    max: FilterValue | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs a min or a max")
        return self


Filters = dict[str, FilterValue | Annotated[list[FilterValue], Field(min_length=1, max_length=1000)] | FilterRange]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
BoundingBox = tuple[Longitude, Latitude, Longitude, Latitude]


class GisExportParameters(_Wire):
    """Parameters of a `gis_export` job; what is left out comes from the county's settings."""

    layer: Layer = Field(default="parcels", description="Which records to export")
    format: GisExportFormat | None = Field(default=None, description="File format; the county's default if left out")
    crs: str | None = Field(default=None, max_length=40, examples=["EPSG:4326"], description="EPSG code to write in")
    bbox: BoundingBox | None = Field(default=None, description="west, south, east, north in EPSG:4326 degrees")
    filters: Filters = Field(
        default_factory=dict,
        max_length=50,
        examples=[{"use_code": ["1010"], "year_built": {"min": 1990}}],
        description="By catalogue field: a value, a list of values, or a range",
    )
    fields: tuple[str, ...] | None = Field(
        default=None, min_length=1, max_length=200, description="Catalogue fields to write, in this order"
    )
    strict: bool = Field(default=False, description="Fail with export_would_lose_data rather than lose anything")

    @model_validator(mode="after")
    def _box_is_ordered(self) -> Self:
        if self.bbox is not None and (self.bbox[0] > self.bbox[2] or self.bbox[1] > self.bbox[3]):
            raise ValueError("bbox is west, south, east, north, with west <= east and south <= north")
        return self


class GisExportSettings(_Wire):
    """A county's export settings, part of its county file."""

    formats: tuple[GisExportFormat, ...] = tuple(GisExportFormat)
    default_format: GisExportFormat = GisExportFormat.GPKG
    default_crs: str | None = Field(default=None, description="EPSG code; the county's own CRS if left out")
    default_fields: dict[Layer, tuple[str, ...]] = Field(default_factory=dict)
    shapefile_names: dict[Layer, dict[str, ShapefileName]] = Field(
        default_factory=dict, description="Column names the county's Shapefile users know, by catalogue field"
    )

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if self.default_format not in self.formats:
            raise ValueError(f"default_format {self.default_format} is not one of formats")
        return self

    @model_validator(mode="after")
    def _fields_exist(self) -> Self:
        named = [(layer, field) for layer, fields in self.default_fields.items() for field in fields]
        named += [(layer, field) for layer, fields in self.shapefile_names.items() for field in fields]
        unknown = [f"{layer}.{field}" for layer, field in named if DATASETS[layer].field(field) is None]
        if unknown:
            raise ValueError(f"not in the field catalogue: {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _shapefile_names_are_unique(self) -> Self:
        for layer, names in self.shapefile_names.items():
            used = [names.get(field.name, field.short_name) for field in DATASETS[layer].fields]
            if len(set(used)) < len(used):
                raise ValueError(f"shapefile_names of {layer} give two fields the same column name")
        return self


class ReceiptFilter(_Wire):
    """Which records were asked for."""

    bbox: BoundingBox | None
    filters: Filters


class ReceiptCrs(_Wire):
    """How coordinates were carried over; `pipeline` is None where nothing had to be transformed."""

    source: str
    written: str
    pipeline: str | None = Field(description="PROJ pipeline that was applied to every coordinate")
    operation: str | None = Field(description="Name of the operation in the EPSG registry")
    accuracy_m: float | None = Field(description="Accuracy the registry states, metres; None if not stated")
    better_operation: str | None = Field(description="A better operation whose grid is not installed, if there is one")
    coordinate_decimals: int | None = Field(description="Decimals coordinates were rounded to, if they were")


class ReceiptField(_Wire):
    """What became of one field."""

    name: str
    label: str
    unit: str | None
    written_name: str
    data_type: str
    written_type: str
    conversion: str | None = Field(description="What was done to the values, where the types differ")


class ReceiptRows(_Wire):
    """Rows in and out; `written` is counted in the finished files where the format allows it."""

    read: int
    written: int
    without_geometry: int
    without_geometry_written_as: Literal["null_geometry", "side_csv"]


class ReceiptGeometry(_Wire):
    """What was done to the geometries, each as a number of rows."""

    promoted: int = Field(description="Made multi-part, so that the layer holds one geometry type")
    repaired: int = Field(description="Invalid polygons made valid")
    empty: int = Field(description="Empty geometries, written as rows without geometry")
    unreadable: int = Field(description="Not readable as WKB, written as rows without geometry")
    collapsed: int = Field(description="Without area or out of the CRS's reach, written as rows without geometry")
    parts_dropped: int = Field(description="Lines or points inside a polygon's collection, dropped")
    dimensions_dropped: int = Field(description="Z or M values dropped")


class ReceiptLayer(_Wire):
    """One layer of one file."""

    file: str
    layer: str
    geometry_type: str
    rows: int


class ReceiptChange(_Wire):
    """Values of one field that were changed; `is_loss` says that the original cannot be had back."""

    code: str
    field: str | None
    rows: int
    detail: str
    is_loss: bool


class ReceiptFile(_Wire):
    """One delivered file."""

    name: str
    media_type: str
    bytes: int
    sha256: str


class GisExportReceipt(_Wire):
    """What an export wrote, and everything that it changed on the way."""

    receipt_version: Literal[1] = 1
    county: str
    layer: Layer
    format: GisExportFormat
    strict: bool
    written_at: datetime
    source_updated_at: datetime | None = Field(description="Latest updated_at of the exported rows")
    filter: ReceiptFilter
    crs: ReceiptCrs
    fields: tuple[ReceiptField, ...]
    rows: ReceiptRows
    geometry: ReceiptGeometry
    layers: tuple[ReceiptLayer, ...]
    changes: tuple[ReceiptChange, ...]
    notes: tuple[str, ...]
    files: tuple[ReceiptFile, ...]
    software: dict[str, str]
