"""A layer of a feature service: its fields, and its rows page by page, with proof that none is missing."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from chassis.errors import PermanentError, TransientError
from contracts.mapping import ColumnType, SourceTable
from services.ingest.sources.arcgis import ArcGis
from services.ingest.sources.esri_geometry import to_wkb
from services.ingest.sources.source import ColumnFacts

_PAGE_ROWS = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {
    "esriFieldTypeOID": "bigint",
    "esriFieldTypeSmallInteger": "smallint",
    "esriFieldTypeInteger": "int",
    "esriFieldTypeBigInteger": "bigint",
    "esriFieldTypeSingle": "real",
    "esriFieldTypeDouble": "double precision",
    "esriFieldTypeString": "varchar",
    "esriFieldTypeDate": "timestamp without time zone",
    "esriFieldTypeDateOnly": "date",
    "esriFieldTypeTimeOnly": "time",
    "esriFieldTypeTimestampOffset": "datetimeoffset",
    "esriFieldTypeGUID": "uniqueidentifier",
    "esriFieldTypeGlobalID": "uniqueidentifier",
    "esriFieldTypeXML": "xml",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer says of itself."""

    number: int
    name: str
    fields: dict[str, str]
    """Names and Esri's types."""
    lengths: dict[str, int]
    id_field: str
    page_rows: int
    crs: frozenset[int]
    """The codes by which the layer's CRS is known; none: it says none."""
    has_geometry: bool
    can_page: bool
    edited: int | None
    """When it was edited last, in milliseconds since 1970; null: it does not say."""
    edit_field: str | None

    def columns(self, table: SourceTable) -> dict[str, ColumnFacts]:
        """Its fields as a catalogue has them; any column that is mapped as geometry is its shape."""
        found = {
            name: ColumnFacts(_TYPES[kind], self.lengths.get(name))
            for name, kind in self.fields.items()
            if kind in _TYPES
        }
        shapes = [name for name, kind in table.columns.items() if kind is ColumnType.GEOMETRY]
        return found | dict.fromkeys(shapes if self.has_geometry else [], ColumnFacts("geometry"))


def read_layer(service: ArcGis, number: int) -> Layer:
    """Ask a layer for what it says of itself."""
    answer = service.ask(f"/{number}")
    fields = answer.get("fields") or []
    spatial = (answer.get("extent") or {}).get("spatialReference") or {}
    named = next((field["name"] for field in fields if field["type"] == "esriFieldTypeOID"), "OBJECTID")
    return Layer(
        number=number,
        name=answer.get("name", str(number)),
        fields={field["name"]: field["type"] for field in fields},
        lengths={field["name"]: field["length"] for field in fields if field.get("length")},
        id_field=answer.get("objectIdField") or named,
        page_rows=min(int(answer.get("maxRecordCount") or _PAGE_ROWS), _PAGE_ROWS),
        crs=frozenset(spatial[name] for name in ("wkid", "latestWkid") if spatial.get(name)),
        has_geometry=bool(answer.get("geometryType")),
        can_page=bool((answer.get("advancedQueryCapabilities") or {}).get("supportsPagination")),
        edited=(answer.get("editingInfo") or {}).get("lastEditDate"),
        edit_field=(answer.get("editFieldsInfo") or {}).get("editDateField"),
    )


def read_pages(service: ArcGis, layer: Layer, table: SourceTable, where: str) -> Iterator[pl.DataFrame]:
    """The rows that meet a condition, all of them or an error: a service cuts an answer off without a word.

    The layer counts its rows before and after, and names their ids in the end; what was read has to be those.

    Raises:
        PermanentError: `source_count_differs`, `source_crs_differs`, `source_paging_unsupported`, `source_unreadable`.
        TransientError: `source_changed_meanwhile`.
    """
    if not layer.can_page:
        raise PermanentError("source_paging_unsupported", f"the layer {layer.name} cannot be read page by page")
    expected = _count(service, layer, where)
    ids = array("q")
    while True:
        answer = service.ask(f"/{layer.number}/query", **_page(layer, table, where, len(ids)))
        _check_crs(layer, table, answer)
        features = answer.get("features") or []
        for feature in features:
            number = int(feature["attributes"][layer.id_field])
            if ids and number <= ids[-1]:
                raise _moved(layer)
            ids.append(number)
        if features:
            yield _frame(layer, table, features)
        if not features or (len(ids) >= expected and not answer.get("exceededTransferLimit")):
            break
    _check_complete(service, layer, where, ids, expected=expected)


def _page(layer: Layer, table: SourceTable, where: str, offset: int) -> dict[str, str]:
    plain = [name for name, kind in table.columns.items() if kind is not ColumnType.GEOMETRY]
    return {
        "where": where,
        "outFields": ",".join(dict.fromkeys([*plain, layer.id_field])),
        "returnGeometry": "true" if len(plain) < len(table.columns) else "false",
        "orderByFields": f"{layer.id_field} ASC",
        "resultOffset": str(offset),
        "resultRecordCount": str(layer.page_rows),
    }


def _count(service: ArcGis, layer: Layer, where: str) -> int:
    answer = service.ask(f"/{layer.number}/query", where=where, returnCountOnly="true")
    if "count" not in answer:
        raise PermanentError("source_unreadable", f"the layer {layer.name} does not count its rows")
    return int(answer["count"])


def _check_complete(service: ArcGis, layer: Layer, where: str, ids: "array[int]", *, expected: int) -> None:
    after, now = _count(service, layer, where), read_layer(service, layer.number)
    if after != expected or now.edited != layer.edited:
        raise _moved(layer)
    if len(ids) != expected:
        raise PermanentError(
            "source_count_differs",
            f"the layer {layer.name} counts {expected} rows and gave {len(ids)}: nothing is taken of it",
            details={"counted": expected, "read": len(ids)},
        )
    answer = service.ask(f"/{layer.number}/query", where=where, returnIdsOnly="true")
    if set(answer.get("objectIds") or []) != set(ids):  # one went and one came: the counts do not show it
        raise _moved(layer)


def _moved(layer: Layer) -> TransientError:
    return TransientError("source_changed_meanwhile", f"the layer {layer.name} was edited while it was read")


def _check_crs(layer: Layer, table: SourceTable, answer: dict[str, Any]) -> None:
    said = answer.get("spatialReference") or {}
    codes = layer.crs | {said[name] for name in ("wkid", "latestWkid") if said.get(name)}
    if table.epsg is not None and layer.has_geometry and codes and table.epsg not in codes:
        raise PermanentError(
            "source_crs_differs", f"{table.name} is mapped with EPSG:{table.epsg} and the layer has {sorted(codes)}"
        )


def _frame(layer: Layer, table: SourceTable, features: list[dict[str, Any]]) -> pl.DataFrame:
    columns = {}
    for name, kind in table.columns.items():
        if kind is ColumnType.GEOMETRY:
            values = [to_wkb(feature.get("geometry")) for feature in features]
        else:
            values = [_text(layer, name, feature["attributes"]) for feature in features]
        columns[name] = pl.Series(values, dtype=pl.String)
    return pl.DataFrame(columns)


def _text(layer: Layer, name: str, attributes: dict[str, Any]) -> str | None:
    """A value as the service spells it; a time is milliseconds since 1970 there, and ISO 8601 in UTC here."""
    if name not in attributes:
        raise PermanentError("source_unreadable", f"the layer {layer.name} left the field {name} out")
    value = attributes[name]
    if value is None or isinstance(value, str):
        return value
    if layer.fields.get(name) == "esriFieldTypeDate":
        moment = _EPOCH + timedelta(milliseconds=value)
        return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return repr(value)
