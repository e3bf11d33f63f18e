"""A folder of files as a source: every table is one file, read from its beginning to its end."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import ColumnType, Pair, SourceTable
from services.ingest.sources.files.csv_records import delimiter_of, header, read_csv
from services.ingest.sources.files.delivery import Stamp, changed, content_hash, stamp_of
from services.ingest.sources.files.features import describe, read_features
from services.ingest.sources.files.fixed_width import ENCODING, layout_of, read_fixed_width
from services.ingest.sources.files.spelling import has_whole_key, in_years, keyed, spelled
from services.ingest.sources.files.texts import Examined, Utf8File, examine
from services.ingest.sources.row_hashes import with_hashes
from services.ingest.sources.source import (
    HASH,
    WHOLE,
    Asked,
    Bounds,
    Catalog,
    ColumnFacts,
    Content,
    Digest,
    Key,
    Marker,
    Source,
    SourceFacts,
    TableFacts,
    require_whole,
)

_FEATURES = (".geojson", ".json", ".shp", ".gpkg")
_REMEMBERED_FILES = 256

#: digests of files that this process has read, by their content and how it was read: the same file need not be again
_read_before: OrderedDict[tuple[str, str], Digest] = OrderedDict()


class FileSource(Source):
    """Reads a delivery; a file that changes after the source was opened stops the run, which is then tried again."""

    is_consistent = True

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.folder = folder
        self.pair = pair
        self.database = folder.name
        self._stamps: dict[str, Stamp] = {
            table.name: stamp_of(path) for table in pair.tables if (path := self._path(table)).is_file()
        }
        self._examined: dict[str, Examined] = {}
        self._keyless: dict[str, int] = {}

    def catalog(self) -> Catalog:
        """The columns of the files that are there; a text file says no types."""
        return {table.name: self._columns(table) for table in self.pair.tables if table.name in self._stamps}

    def facts(self) -> SourceFacts:
        """The files, with size, time of the last change and the CRS that each says of itself."""
        return SourceFacts(
            product="files",
            version="1",
            is_read_only=True,
            has_cdc=False,
            has_change_tracking=False,
            can_write=False,
            tables={name: TableFacts() for name in self._stamps},
            more={name: self._file_facts(self.pair.table_by_name[name]) for name in self._stamps},
        )

    def now(self) -> datetime:
        """This machine's clock: files have none."""
        return datetime.now(UTC)

    def boundary(self, table: SourceTable, after: Key | None, rows: int, *, years: tuple[int, ...] = ()) -> Key | None:
        """Never one: a file has no order to seek in, so it is one range."""
        return None

    def read(
        self, table: SourceTable, *, bounds: Bounds = WHOLE, years: tuple[int, ...] = (), content: Content = "row"
    ) -> Iterator[pl.DataFrame]:
        """The file's rows with a whole key.

        Raises:
            PermanentError: `source_line_broken` and others that say what is wrong with the file.
            TransientError: `source_changed_meanwhile`.
        """
        require_whole(table, bounds)
        found, keyless = Digest(), 0
        for rows in self._rows(table, years):
            whole = rows.filter(has_whole_key(table))
            keyless += rows.height - whole.height
            hashed = with_hashes(table, whole, content)
            found += Digest.of(hashed[HASH])
            yield hashed
        self._keyless[_reading(table, years, "row")] = keyless
        self._remember(Asked(table, WHOLE, years, content), found)

    def read_keyless(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """Rows without a part of their key; the file is read again only where there are some."""
        if self._keyless.get(_reading(table, years, "row")) == 0:
            return
        for rows in self._rows(table, years):
            yield with_hashes(table, rows.filter(~has_whole_key(table)), "row")

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
        """Rows whose `columns` hold one of the values; the whole file is looked through, as it is one range."""
        require_whole(table, bounds)
        for rows in self._rows(table, years):
            yield with_hashes(table, keyed(rows, columns, values), content)

    def digests(self, asked: Sequence[Asked]) -> list[Digest | None]:
        """Of files that this process has read and that are byte for byte the same."""
        return [self._digest(one) for one in asked]

    def high_mark(self, table: SourceTable, marker: Marker | None = None) -> str:
        """SHA-256 of the file."""
        return self._examine(table).sha256

    def low_mark(self, table: SourceTable, marker: Marker) -> str | None:
        """A file is always complete."""
        return None

    def changed(
        self, table: SourceTable, marker: Marker, since: str | None, until: str, *, years: tuple[int, ...] = ()
    ) -> Iterator[pl.DataFrame]:
        """Refused: a file does not tell its changes."""
        raise PermanentError("reader_unsupported", f"files have no {marker.kind}: they are compared as a whole")

    def _path(self, table: SourceTable) -> Path:
        return self.folder / (table.file or table.name)

    def _columns(self, table: SourceTable) -> dict[str, ColumnFacts]:
        path, layout = self._path(table), layout_of(table)
        text = ColumnFacts("text")
        if layout is not None:
            return dict.fromkeys(layout, text)
        if path.suffix.lower() in _FEATURES:
            geometry = [name for name, kind in table.columns.items() if kind is ColumnType.GEOMETRY]
            return dict.fromkeys(map(str, describe(path, table)["fields"]), text) | dict.fromkeys(
                geometry, ColumnFacts("geometry")
            )
        return dict.fromkeys(self._header(table), text)

    def _header(self, table: SourceTable) -> list[str]:
        path, file_format = self._path(table), table.file_format
        with Utf8File(path, self._examine(table).encoding) as file:
            return header(path.name, file, file_format, delimiter_of(path, file_format))

    def _examine(self, table: SourceTable) -> Examined:
        """Read the file through once a run, so that nothing is taken of a file that is broken at its end."""
        if table.name not in self._examined:
            path, file_format = self._path(table), table.file_format
            self._check(table)
            if path.suffix.lower() in _FEATURES:
                found = Examined("", content_hash(path))
            elif layout_of(table) is not None:
                found = examine(path, file_format.encoding or ENCODING)
            else:
                quotes = (delimiter_of(path, file_format), file_format.quote) if file_format.quote else None
                found = examine(path, file_format.encoding, quotes)
            self._check(table)
            self._examined[table.name] = found
        return self._examined[table.name]

    def _check(self, table: SourceTable) -> None:
        path = self._path(table)
        if stamp_of(path) != self._stamps.get(table.name):
            raise changed(path)

    def _rows(self, table: SourceTable, years: tuple[int, ...]) -> Iterator[pl.DataFrame]:
        """The file's rows; that it is still the file that was examined is known at its end."""
        examined = self._examine(table)
        for rows in self._raw(table, examined):
            found = spelled(table, rows)
            yield found.filter(in_years(table, years)) if years else found
        self._check(table)

    def _raw(self, table: SourceTable, examined: Examined) -> Iterator[pl.DataFrame]:
        path, layout = self._path(table), layout_of(table)
        if path.suffix.lower() in _FEATURES:
            yield from read_features(path, table)
            if content_hash(path) != examined.sha256:
                raise changed(path)
            return
        columns = [] if layout is not None else self._header(table)
        with Utf8File(path, examined.encoding) as file:
            if layout is not None:
                yield from read_fixed_width(path.name, file, table, layout)
            else:
                delimiter = delimiter_of(path, table.file_format)
                yield from read_csv(path.name, file, table, delimiter=delimiter, columns=columns)
            if file.sha256 != examined.sha256:
                raise changed(path)

    def _digest(self, asked: Asked) -> Digest | None:
        found = _read_before.get(self._content(asked))
        if asked.bounds != WHOLE or found is None:
            return None
        _read_before.move_to_end(self._content(asked))
        return found

    def _remember(self, asked: Asked, found: Digest) -> None:
        _read_before[self._content(asked)] = found
        while len(_read_before) > _REMEMBERED_FILES:
            _read_before.popitem(last=False)

    def _content(self, asked: Asked) -> tuple[str, str]:
        return self._examine(asked.table).sha256, _reading(asked.table, asked.years, asked.content)

    def _file_facts(self, table: SourceTable) -> dict[str, object]:
        path, stamp = self._path(table), self._stamps[table.name]
        modified = datetime.fromtimestamp(max(part[2] for part in stamp.parts) / 1e9, UTC)
        facts = {
            "file": path.name,
            "bytes": sum(part[1] for part in stamp.parts),
            "modified_at": modified.isoformat(timespec="seconds"),
        }
        if path.suffix.lower() in _FEATURES:
            described = describe(path, table)
            facts |= {"crs": described.get("crs"), "geometry_type": described.get("geometry_type")}
        return facts


def _reading(table: SourceTable, years: tuple[int, ...], content: Content) -> str:
    """How a file is read: by which mapping, which years, what of it."""
    return f"{table.model_dump_json()}{years}{content}"


@contextmanager
def open_files(pair: Pair, url: str) -> Iterator[Source]:
    """Opens a folder, named by a path or a `file://` URL; a link such as `current` is followed once.

    Raises:
        PermanentError: `source_missing`, `source_forbidden`.
        TransientError: `source_changed_meanwhile`.
    """
    parts = urlsplit(url)
    folder = Path(unquote(parts.path) if parts.scheme == "file" else url).resolve()
    if not folder.is_dir():
        raise PermanentError("source_missing", f"the source of {pair.pair} is no folder")
    try:
        yield FileSource(folder, pair)
    except PermissionError as error:
        raise PermanentError("source_forbidden", f"the files of {pair.pair} may not be read: {error}") from error
