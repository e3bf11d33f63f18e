"""Looks at a pair's source and reads no row: what it is, whether the mapping fits, how each table is followed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from chassis.errors import PermanentError
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.preflight import differences, warnings
from services.ingest.mappings import load_pair
from services.ingest.readers.choosing import choose
from services.ingest.settings import source_url
from services.ingest.sources.opening import open_source
from services.ingest.sources.source import Catalog, SourceFacts, TableFacts


def probe(counties_dir: Path, county: str, pair_name: str) -> dict[str, Any]:
    """A report for people and programs; nothing is written and no row is read.

    Raises:
        NotFoundError: `county_unknown`, `pair_unknown`.
        PermanentError: `source_not_configured`, `source_missing`, `source_forbidden`.
        TransientError: `source_unavailable`.
    """
    pair = load_pair(counties_dir, county, pair_name)
    with open_source(pair, source_url(pair.pair)) as source:
        catalog, facts = source.catalog(), source.facts()
        return {
            "county": county,
            "pair": pair.pair,
            "connector": pair.connector,
            "database": source.database,
            "server": {name: value for name, value in asdict(facts).items() if name != "tables"},
            "tables": [_table(pair, name, catalog, facts) for name in pair.table_by_name],
            "differences": [difference.to_dict() for difference in differences(pair, catalog)],
            "warnings": [warning.to_dict() for warning in warnings(pair, catalog, facts)],
        }


def _table(pair: Pair, name: str, catalog: Catalog, facts: SourceFacts) -> dict[str, Any]:
    table, there = pair.table_by_name[name], facts.tables.get(name, TableFacts())
    return {
        "table": name,
        "columns_there": len(catalog.get(name, {})),
        "columns_read": len(table.columns),
        "key": list(table.key),
        **asdict(there),
        **_followed(pair, table, facts, catalog),
    }


def _followed(pair: Pair, table: SourceTable, facts: SourceFacts, catalog: Catalog) -> dict[str, Any]:
    """The reader that a run would take and what it cannot see, or why it would take none."""
    wanted = table.reader or pair.reader
    try:
        choice = choose(pair, table, facts, catalog)
    except PermanentError as error:
        return {"wanted": wanted, "reader": None, "refused": error.message, "blind_spots": []}
    column = choice.marker.column if choice.marker else None
    return {
        "wanted": wanted,
        "reader": choice.reader,
        "marker_column": column,
        "is_read_in_ranges": choice.is_ranged,
        "blind_spots": list(choice.blind_spots),
    }
