"""What each file format can hold, and what we write so that it loses nothing silently.

Source: GDAL 3.12 driver pages, RFC 7946, GeoParquet 1.1; each rule has a test that writes and reads back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.api.gis_export import GisExportFormat
from contracts.catalog import DataType


class WrittenType(StrEnum):
    """Column types as they stand in the file."""

    TEXT = "text"
    INTEGER = "integer"
    SMALL_INTEGER = "small_integer"
    DOUBLE = "double"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"


_NATIVE: Mapping[DataType, WrittenType] = {
    DataType.TEXT: WrittenType.TEXT,
    DataType.INTEGER: WrittenType.INTEGER,
    DataType.NUMBER: WrittenType.DOUBLE,
    # GDAL turns decimals into doubles one bit off (1234567890.12 -> 1234567890.1200001); a plain cast is exact.
    DataType.MONEY: WrittenType.DOUBLE,
    DataType.DATE: WrittenType.DATE,
    DataType.TIMESTAMP: WrittenType.DATETIME,
    DataType.BOOLEAN: WrittenType.BOOLEAN,
    DataType.DOCUMENT: WrittenType.TEXT,
}


@dataclass(frozen=True)
class FormatRules:
    """One format; `driver` is GDAL's, None where we write the file without it."""

    format: GisExportFormat
    driver: str | None
    suffix: str
    media_type: str
    types: Mapping[DataType, WrittenType] = field(default_factory=lambda: _NATIVE)
    layer_options: Mapping[str, str] = field(default_factory=dict)
    geographic_only: bool = False
    short_names: bool = False
    text_limit_bytes: int | None = None
    xml_text: bool = False
    holds_null_geometry: bool = True
    mixes_geometry_types: bool = False
    several_layers_per_file: bool = False
    zipped: bool = False
    coordinate_decimals: int | None = None
    size_limit_bytes: int | None = None
    datetime_digits: int | None = 3
    notes: tuple[str, ...] = ()


_EMPTY_TEXT_NOTE = "An empty text and a missing one cannot be told apart in this format."

_ALL = (
    FormatRules(
        GisExportFormat.GPKG,
        "GPKG",
        ".gpkg",
        "application/geopackage+sqlite3",
        several_layers_per_file=True,
    ),
    FormatRules(
        GisExportFormat.SHAPEFILE,
        "ESRI Shapefile",
        ".shp",
        "application/zip",
        types={
            **_NATIVE,
            DataType.MONEY: WrittenType.DECIMAL,
            DataType.TIMESTAMP: WrittenType.TEXT,
            DataType.BOOLEAN: WrittenType.SMALL_INTEGER,
        },
        layer_options={"ENCODING": "UTF-8", "2GB_LIMIT": "YES"},
        short_names=True,
        text_limit_bytes=254,
        size_limit_bytes=2**31 - 1,  # GDAL could write 4 GB; most readers stop at 2
        zipped=True,
        datetime_digits=None,
        notes=(
            _EMPTY_TEXT_NOTE,
            "Spaces at the end of a text are not kept.",
            "Column names have at most ten characters; fields.csv in the archive gives the full names.",
        ),
    ),
    FormatRules(
        GisExportFormat.GEOJSON,
        "GeoJSON",
        ".geojson",
        "application/geo+json",
        layer_options={"RFC7946": "YES"},
        geographic_only=True,
        mixes_geometry_types=True,
        coordinate_decimals=7,
        notes=("Coordinates are rounded to 7 decimals of a degree, about 1 cm (RFC 7946).",),
    ),
    FormatRules(
        GisExportFormat.GEOJSONSEQ,
        "GeoJSONSeq",
        ".geojsonl",
        "application/geo+json-seq",
        geographic_only=True,
        mixes_geometry_types=True,
        coordinate_decimals=7,
        notes=(
            "Coordinates are rounded to 7 decimals of a degree, about 1 cm (RFC 7946).",
            "One feature per line, without record separators.",
        ),
    ),
    FormatRules(
        GisExportFormat.KML,
        "KML",
        ".kml",
        "application/vnd.google-earth.kml+xml",
        types=dict.fromkeys(DataType, WrittenType.TEXT),
        geographic_only=True,
        xml_text=True,
        mixes_geometry_types=True,
        datetime_digits=None,
        notes=("All values are written as text.", _EMPTY_TEXT_NOTE),
    ),
    FormatRules(
        GisExportFormat.FLATGEOBUF,
        "FlatGeobuf",
        ".fgb",
        "application/flatgeobuf",
        types={**_NATIVE, DataType.DATE: WrittenType.TEXT},
        holds_null_geometry=False,
        notes=(
            "Rows stand in the order of the spatial index, not of the parcel id.",
            "Datetimes are in UTC; the file does not say so.",
            "The format has no date type: dates are written as ISO 8601 text.",
        ),
    ),
    FormatRules(
        GisExportFormat.GEOPARQUET,
        None,
        ".parquet",
        "application/vnd.apache.parquet",
        types={**_NATIVE, DataType.MONEY: WrittenType.DECIMAL},
        mixes_geometry_types=True,
        datetime_digits=None,
        notes=("GeoParquet 1.1, geometry as WKB.",),
    ),
    FormatRules(
        GisExportFormat.FILEGDB,
        "OpenFileGDB",
        ".gdb",
        "application/zip",
        types={**_NATIVE, DataType.BOOLEAN: WrittenType.SMALL_INTEGER},
        # Without it dates become datetimes and readers older than ArcGIS Pro 3.2 are assumed.
        layer_options={"TARGET_ARCGIS_VERSION": "ARCGIS_PRO_3_2_OR_LATER"},
        several_layers_per_file=True,
        zipped=True,
        notes=(
            "Written for ArcGIS Pro 3.2 or later.",
            "The format stores coordinates on a grid, finer than 0.1 mm in a projected CRS.",
            "Datetimes are in UTC.",
        ),
    ),
    FormatRules(
        GisExportFormat.CSV,
        "CSV",
        ".csv",
        "text/csv",
        types={
            **_NATIVE,
            DataType.MONEY: WrittenType.DECIMAL,
            DataType.DATE: WrittenType.TEXT,
            DataType.TIMESTAMP: WrittenType.TEXT,
            DataType.BOOLEAN: WrittenType.TEXT,
        },
        mixes_geometry_types=True,
        datetime_digits=None,
        notes=(
            _EMPTY_TEXT_NOTE,
            "The name of the geometry column gives its CRS.",
            "Excel cuts cells beyond 32,767 characters: large polygons do not survive it.",
        ),
    ),
)

FORMATS: Mapping[GisExportFormat, FormatRules] = {rules.format: rules for rules in _ALL}
