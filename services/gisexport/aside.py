"""Rows that the main layer cannot take: kept on disk until their own layer or file is written."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.csv

from services.gisexport.domain.convert import GEOMETRY, ConvertedBatch


class Aside:
    """Spools rows of other geometry types, and writes rows without geometry to a CSV file."""

    def __init__(self, work: Path, csv_path: Path) -> None:
        self._work = work
        self._csv_path = csv_path
        self._csv: pyarrow.csv.CSVWriter | None = None
        self._spools: dict[str, pa.RecordBatchStreamWriter] = {}
        self.rows_without_geometry = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for writer in (self._csv, *self._spools.values()):
            if writer is not None:
                writer.close()

    def take(self, converted: ConvertedBatch) -> None:
        """Put away what is not for the main layer."""
        for kind, batch in converted.other_types.items():
            if kind not in self._spools:
                self._spools[kind] = pa.ipc.new_stream(self._path(kind), batch.schema)
            self._spools[kind].write_batch(batch)
        if converted.without_geometry is not None:
            self._write_csv(converted.without_geometry)

    def spools(self) -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
        """Geometry type and batches of every spool; call when all rows are in."""
        for kind in sorted(self._spools):
            with pa.ipc.open_stream(self._path(kind)) as stream:
                yield kind, iter(stream)

    def _path(self, kind: str) -> str:
        return str(self._work / f"{kind}.arrows")

    def _write_csv(self, batch: pa.RecordBatch) -> None:
        attributes = batch.drop_columns([GEOMETRY])
        if self._csv is None:
            self._csv = pyarrow.csv.CSVWriter(self._csv_path, attributes.schema)
        self._csv.write_batch(attributes)
        self.rows_without_geometry += batch.num_rows
