"""Reads a pair's source: preflight first, then every needed table in one consistent picture."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.preflight import differences
from services.ingest.domain.rows import empty_rows, normalise
from services.ingest.sources.opening import open_source
from services.ingest.sources.source import Catalog, Source

Tell = Callable[[int, int, str], None]


@dataclass
class Picture:
    """What the source held at one moment: the rows of the tables that were read, in canonical form."""

    database: str
    seen_at: datetime
    working_year: int
    rows: dict[str, pl.DataFrame] = field(default_factory=dict)


def read_picture(pair: Pair, url: str, tables: list[SourceTable], *, tell: Tell) -> Picture:
    """Reads the tables; `tell(done, total, table)` is called before each and may raise to stop.

    Raises:
        PermanentError: a `mapping_…` code with every difference, before any row is read; `working_year_unknown`.
        TransientError: `source_unavailable`.
    """
    with open_source(pair, url) as source:
        check_mapping(pair, source.catalog())
        picture = Picture(source.database, datetime.now(UTC), _working_year(pair, source))
        for number, table in enumerate(tables):
            tell(number, len(tables), table.name)
            years = tuple(picture.working_year - back for back in range(table.years or 0))
            parts = []
            for raw in source.read(table, years=years):
                tell(number, len(tables), table.name)
                parts.append(normalise(table, raw))
            picture.rows[table.name] = pl.concat(parts) if parts else empty_rows(table)
    return picture


def check_mapping(pair: Pair, catalog: Catalog) -> None:
    """Refuse a mapping that names what the source does not have.

    Raises:
        PermanentError: the code of the first difference; `details.differences` has them all.
    """
    found = differences(pair, catalog)
    if found:
        shown = "; ".join(difference.message for difference in found[:5])
        raise PermanentError(
            found[0].code,
            f"the mapping of {pair.pair} does not fit the source ({len(found)} differences): {shown}",
            details={"differences": [difference.to_dict() for difference in found]},
        )


def _working_year(pair: Pair, source: Source) -> int:
    if pair.working_year.year is not None:
        return pair.working_year.year
    table, _, column = (pair.working_year.column or "").partition(".")
    found = [normalise(pair.table_by_name[table], raw)[column] for raw in source.read(pair.table_by_name[table])]
    years = pl.concat(found).drop_nulls().unique().to_list() if found else []
    if len(years) != 1:
        raise PermanentError("working_year_unknown", f"{pair.working_year.column} holds {len(years)} years, not one")
    return int(years[0])
