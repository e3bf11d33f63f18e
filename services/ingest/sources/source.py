"""What a source has to be able to do."""

from collections.abc import Iterator
from typing import Protocol

import polars as pl

from contracts.mapping import SourceTable

Catalog = dict[str, dict[str, str]]
"""Tables, their columns, and the type that the source says each has."""


class Source(Protocol):
    """A legacy system at one moment."""

    database: str

    def catalog(self) -> Catalog:
        """What there is to read."""
        ...

    def server(self) -> dict[str, str]:
        """What kind of system it is."""
        ...

    def read(self, table: SourceTable, *, years: tuple[int, ...] = ()) -> Iterator[pl.DataFrame]:
        """The table's mapped columns as texts, part by part; only the named years where there are any."""
        ...
