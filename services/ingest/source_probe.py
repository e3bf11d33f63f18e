"""Looks at a pair's source and reads no row: what it is, whether the mapping fits, how each table is followed."""

from pathlib import Path
from typing import Any

from contracts.mapping import Pair
from services.ingest.domain.preflight import differences
from services.ingest.mappings import load_pair
from services.ingest.settings import source_url
from services.ingest.sources.opening import open_source

BLIND_SPOT = "a change that is undone between two runs is not seen; who changed a row is not known"


def probe(counties_dir: Path, county: str, pair_name: str) -> dict[str, Any]:
    """A report for people and programs; nothing is written and no row is read.

    Raises:
        NotFoundError: `county_unknown`, `pair_unknown`.
        PermanentError: `source_not_configured`, `source_missing`, `source_forbidden`.
        TransientError: `source_unavailable`.
    """
    pair = load_pair(counties_dir, county, pair_name)
    with open_source(pair, source_url(pair.pair)) as source:
        catalog = source.catalog()
        return {
            "county": county,
            "pair": pair.pair,
            "connector": pair.connector,
            "database": source.database,
            "server": source.server(),
            "tables": [_table(pair, name, catalog.get(name, {})) for name in pair.table_by_name],
            "differences": [difference.to_dict() for difference in differences(pair, catalog)],
        }


def _table(pair: Pair, name: str, columns: dict[str, str]) -> dict[str, Any]:
    table = pair.table_by_name[name]
    stamps = [column for column, kind in columns.items() if column == "tsRowVersion" or kind == "rowversion"]
    return {
        "table": name,
        "columns_there": len(columns),
        "columns_read": len(table.columns),
        "key": list(table.key),
        "rowversion": stamps[0] if stamps else None,
        "reader": pair.reader,
        "blind_spots": [BLIND_SPOT],
    }
