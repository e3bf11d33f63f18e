"""An ArcGIS FeatureServer as a source: every table is one of its layers, read page by page."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import Pair, SourceTable
from services.ingest.sources.arcgis import ArcGis
from services.ingest.sources.feature_layer import Layer, read_layer, read_pages
from services.ingest.sources.row_hashes import with_hashes
from services.ingest.sources.source import (
    WHOLE,
    Asked,
    Bounds,
    Catalog,
    Content,
    Digest,
    Key,
    Marker,
    Source,
    SourceFacts,
    TableFacts,
    require_whole,
)

_KEYS_AT_ONCE = 100
_TIMEOUT_SECONDS = 120.0
_ALL = "1=1"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_NUMBERS = ("OID", "Integer", "Single", "Double")


class FeatureServiceSource(Source):
    """Reads layers; what a layer holds is proved by its own counts and ids."""

    is_consistent = False

    def __init__(self, service: ArcGis, pair: Pair) -> None:
        self.service = service
        self.pair = pair
        root = service.ask("")
        self.database = _name(service.url)
        self.version = str(root.get("currentVersion", "unknown"))
        entries = [*(root.get("layers") or []), *(root.get("tables") or [])]
        self._numbers = {str(key): int(entry["id"]) for entry in entries for key in (entry["name"], entry["id"])}
        self._layers: dict[str, Layer] = {}

    def catalog(self) -> Catalog:
        """The fields of the layers that are there."""
        there = [table for table in self.pair.tables if _layer_of(table) in self._numbers]
        return {table.name: self._layer(table).columns(table) for table in there}

    def facts(self) -> SourceFacts:
        """The layers, with their CRS, when they were edited last and which field says so for a row."""
        there = {t.name: self._layer(t) for t in self.pair.tables if _layer_of(t) in self._numbers}
        return SourceFacts(
            product="feature_service",
            version=self.version,
            is_read_only=True,
            has_cdc=False,
            has_change_tracking=False,
            can_write=False,
            tables={name: TableFacts(primary_key=(layer.id_field,)) for name, layer in there.items()},
            more={
                name: {
                    "layer": layer.number,
                    "crs": sorted(layer.crs),
                    "last_edit_date": layer.edited,
                    "edit_date_field": layer.edit_field,
                    "page_rows": layer.page_rows,
                }
                for name, layer in there.items()
            },
        )

    def now(self) -> datetime:
        """The server's clock, by its last answer."""
        return self.service.answered_at or datetime.now(UTC)

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        """Never one: a layer is one range."""
        return None

    def read(
        self, table: SourceTable, *, bounds: Bounds = WHOLE, years: tuple[int, ...] = (), content: Content = "row"
    ) -> Iterator[pl.DataFrame]:
        """The layer's rows with a whole key.

        Raises:
            PermanentError: `source_count_differs` where the layer gave other than it counts; others of `read_pages`.
            TransientError: `source_unavailable`, `source_changed_meanwhile`.
        """
        require_whole(table, bounds)
        condition = " AND ".join(f"{name} IS NOT NULL" for name in table.key)
        yield from self._rows(table, condition, years, content)

    def read_keyless(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """Rows that have a null in their key."""
        condition = " OR ".join(f"{name} IS NULL" for name in table.key)
        yield from self._rows(table, f"({condition})", years, "row")

    def read_keyed(
        self,
        table: SourceTable,
        columns: tuple[str, ...],
        values: Sequence[Key],
        *,
        bounds: Bounds = WHOLE,
        years: tuple[int, ...] = (),
        content: Content = "row",
    ) -> Iterator[pl.DataFrame]:
        """Rows whose `columns` hold one of the values."""
        require_whole(table, bounds)
        layer = self._layer(table)
        for begin in range(0, len(values), _KEYS_AT_ONCE):
            rows = values[begin : begin + _KEYS_AT_ONCE]
            conditions = [_equal(layer, columns, row) for row in rows]
            yield from self._rows(table, f"({' OR '.join(conditions)})", years, content)

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        """None: a layer has to be read."""
        return [None] * len(asked)

    def high_mark(self, table: SourceTable, marker: Marker | None = None) -> str:
        """When the layer was edited last, as far as it says."""
        return str(read_layer(self.service, self._layer(table).number).edited or "")

    def low_mark(self, table: SourceTable, marker: Marker) -> str | None:
        """A layer is always complete."""
        return None

    def changed(
        self, table: SourceTable, marker: Marker, since: str | None, until: str, *, years: tuple[int, ...] = ()
    ) -> Iterator[pl.DataFrame]:
        """Refused: a layer is compared as a whole."""
        raise PermanentError("reader_unsupported", f"a feature service has no {marker.kind} that can be relied on")

    def _layer(self, table: SourceTable) -> Layer:
        if table.name not in self._layers:
            self._layers[table.name] = read_layer(self.service, self._numbers[_layer_of(table)])
        return self._layers[table.name]

    def _rows(
        self, table: SourceTable, condition: str, years: tuple[int, ...], content: Content
    ) -> Iterator[pl.DataFrame]:
        number = self._layer(table).number
        layer = read_layer(self.service, number)  # as it is now: an edit after the opening is no edit meanwhile
        if years:
            chosen = " OR ".join(_equal(layer, (table.year_column,), (str(year),)) for year in years)
            condition = f"{condition} AND ({chosen})"
        for rows in read_pages(self.service, layer, table, condition or _ALL):
            yield with_hashes(table, rows, content)


def _layer_of(table: SourceTable) -> str:
    return table.file_format.layer or table.name


def _name(url: str) -> str:
    """`Parcels` of `https://…/services/Parcels/FeatureServer`."""
    parts = urlsplit(url).path.rstrip("/").split("/")
    return parts[-2] if len(parts) > 1 and parts[-1] == "FeatureServer" else parts[-1]


def _equal(layer: Layer, columns: tuple[str, ...], values: Key) -> str:
    return "(" + " AND ".join(_one_equal(layer, *pair) for pair in zip(columns, values, strict=True)) + ")"


def _one_equal(layer: Layer, column: str, value: str | None) -> str:
    """A comparison in the service's SQL; a value that is no number is none of a number's."""
    if value is None:
        return f"{column} IS NULL"
    if layer.fields[column].endswith(_NUMBERS):
        return f"{column} = {value}" if _NUMBER.fullmatch(value) else "1=0"
    if layer.fields[column] == "esriFieldTypeDate":
        return f"{column} = TIMESTAMP '{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S}'"
    quoted = value.replace("'", "''")
    return f"{column} = '{quoted}'"


@contextmanager
def open_feature_service(pair: Pair, url: str) -> Iterator[Source]:
    """Opens `https://…/FeatureServer`; a token stands in `TERRAFUSION_SOURCE_<PAIR>_TOKEN`.

    Raises:
        PermanentError: `source_forbidden`, `source_refused`, `source_missing`.
        TransientError: `source_unavailable`.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise PermanentError("source_missing", f"the source of {pair.pair} is no URL of a feature service")
    token = os.environ.get(f"TERRAFUSION_SOURCE_{pair.pair.upper()}_TOKEN")
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
        yield FeatureServiceSource(ArcGis(client, url.rstrip("/"), token), pair)
