"""A folder of CSV and GeoJSON files as a source."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl
import pyogrio

from chassis.errors import PermanentError
from contracts.mapping import ColumnType, Pair, SourceTable
from services.ingest.sources.source import Catalog, Source

_GEOMETRY = "wkb_geometry"


class FileSource(Source):
    """Reads files whole; the column that a mapping declares as geometry is the features' geometry."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.folder = folder
        self.pair = pair
        self.database = folder.name

    def catalog(self) -> Catalog:
        """The columns of the files that are there; a CSV says no types."""
        return {
            table.name: self._columns(table, path)
            for table in self.pair.tables
            if (path := self.folder / (table.file or "")).is_file()
        }

    def _columns(self, table: SourceTable, path: Path) -> dict[str, str]:
        if path.suffix == ".csv":
            return dict.fromkeys(pl.read_csv(path, n_rows=0, infer_schema=False).columns, "text")
        geometry = {name: "geometry" for name, kind in table.columns.items() if kind is ColumnType.GEOMETRY}
        return dict.fromkeys(map(str, pyogrio.read_info(path)["fields"]), "text") | geometry

    def server(self) -> dict[str, str]:
        """The files, with the time of the last change of each."""
        files = [self.folder / (table.file or "") for table in self.pair.tables]
        return {
            path.name: datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat() for path in files if path.is_file()
        }

    def read(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """The file's mapped columns as texts."""
        path = self.folder / (table.file or "")
        try:
            frame = _read_csv(path, table) if path.suffix == ".csv" else _read_features(path, table)
        except (pl.exceptions.PolarsError, pyogrio.errors.DataSourceError) as error:
            raise PermanentError("source_unreadable", f"{path.name} cannot be read: {error}") from error
        yield frame.filter(pl.col(table.year_column).is_in([str(year) for year in years])) if years else frame


def _read_csv(path: Path, table: SourceTable) -> pl.DataFrame:
    return pl.read_csv(path, columns=list(table.columns), infer_schema=False).select(list(table.columns))


def _read_features(path: Path, table: SourceTable) -> pl.DataFrame:
    plain = [name for name, kind in table.columns.items() if kind is not ColumnType.GEOMETRY]
    _, features = pyogrio.read_arrow(path, columns=plain)
    geometry = features.column(_GEOMETRY).cast("binary") if _GEOMETRY in features.column_names else None
    columns = {name: pl.Series(features.column(name).to_pylist(), strict=False).cast(pl.String) for name in plain}
    for name in set(table.columns) - set(plain):
        values = geometry.to_pylist() if geometry is not None else [None] * features.num_rows
        columns[name] = pl.Series(values, dtype=pl.Binary).bin.encode("hex")
    return pl.DataFrame(columns).select(list(table.columns))


@contextmanager
def open_files(pair: Pair, url: str) -> Iterator[Source]:
    """Opens a folder, named by a path or a `file://` URL.

    Raises:
        PermanentError: `source_missing`.
    """
    parts = urlsplit(url)
    folder = Path(unquote(parts.path) if parts.scheme == "file" else url)
    if not folder.is_dir():
        raise PermanentError("source_missing", f"the source of {pair.pair} is no folder")
    yield FileSource(folder, pair)
