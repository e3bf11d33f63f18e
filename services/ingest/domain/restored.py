"""Landed rows made rows again, out of image and personal values, and what is wrong with how they are stored."""

import json
from dataclasses import dataclass

import polars as pl

from contracts.events.ingest import MASK
from contracts.mapping import ColumnType, Link, SourceTable
from services.ingest.domain.entities import link_values
from services.ingest.domain.rows import DIGEST, KEY, WHOLE, digests, from_images
from services.ingest.domain.tallies import CONTENT, content_hashes

LINKS = {"parcel_id": Link.PARCEL_ID, "sale_id": Link.SALE_ID, "owner_id": Link.OWNER_ID, "lot_id": Link.LOT_ID}
STORED = ("key", "digest", "image", "personal", *LINKS, "is_filtered", "range_number", "is_held")
"""The columns of a landed row, as they are read; `is_held`: the key is in quarantine."""
_TYPES: dict[ColumnType, type[pl.DataType]] = {ColumnType.INTEGER: pl.Int64, ColumnType.BOOLEAN: pl.Boolean}
_PYTHON: dict[ColumnType, type] = {ColumnType.INTEGER: int, ColumnType.BOOLEAN: bool}


@dataclass
class Restored:
    """Rows with `KEY` and `CONTENT`; beside each `is_filtered`, `range_number` and `is_held`."""

    rows: pl.DataFrame
    damaged: int = 0
    wrong_digests: int = 0
    wrong_links: int = 0
    unmasked: int = 0


def restore(table: SourceTable, stored: pl.DataFrame) -> Restored:
    """The rows that images and personal values say. Digests and links are worked out anew and compared."""
    if stored.is_empty():
        return Restored(_beside(table, _clear(table, stored), stored))
    try:
        clear = _clear(table, stored)
    except pl.exceptions.PolarsError:
        return _around_damage(table, stored)
    wrong_digests = 0
    if "drop" not in table.personal_as.values():  # what is never stored is part of the digest
        encoded = clear.select(pl.struct(list(table.columns)).struct.json_encode().alias(WHOLE)).to_series()
        wrong_digests = int((pl.Series(DIGEST, digests(encoded)) != stored["digest"]).sum())
    return Restored(
        _beside(table, clear, stored),
        wrong_digests=wrong_digests,
        wrong_links=_wrong_links(table, clear, stored),
        unmasked=_unmasked(table, clear, stored),
    )


def _clear(table: SourceTable, stored: pl.DataFrame) -> pl.DataFrame:
    """The table's columns, with personal values as they were read."""
    rows = from_images(table, stored["image"])
    kept = [name for name in table.personal if table.personal_as.get(name) != "drop"]
    if not kept:
        return rows
    fields = {name: _TYPES.get(table.columns[name], pl.String) for name in kept}
    personal = stored.select(pl.col("personal").str.json_decode(pl.Struct(fields))).unnest("personal")
    return rows.with_columns(personal)


def _beside(table: SourceTable, rows: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    keyed = rows.with_columns(stored["key"].alias(KEY))
    hashed = keyed.with_columns(pl.Series(CONTENT, content_hashes(table, keyed), dtype=pl.String))
    return hashed.with_columns(stored["is_filtered"], stored["range_number"], stored["is_held"])


def _wrong_links(table: SourceTable, rows: pl.DataFrame, stored: pl.DataFrame) -> int:
    """Rows of which some link is not the one that their columns make up."""
    found = [
        link_values(table, rows, link).cast(pl.String).ne_missing(stored[name])
        if link in table.links
        else stored[name].is_not_null()
        for name, link in LINKS.items()
    ]
    return int(pl.select(pl.any_horizontal(found)).to_series().sum())


def _unmasked(table: SourceTable, rows: pl.DataFrame, stored: pl.DataFrame) -> int:
    """Rows whose image shows a personal value, or does not even say that there is one."""
    if not table.personal:
        return 0
    images = from_images(table, stored["image"])
    wrong = []
    for name in table.personal:
        shown, value = images[name], rows[name]
        if table.personal_as.get(name) == "drop":
            wrong.append(shown.is_not_null())
            continue
        is_shown = (shown == value).fill_null(value=False) & (value != MASK).fill_null(value=False)
        wrong.append(is_shown | (shown.is_null() != value.is_null()))
    return int(pl.select(pl.any_horizontal(wrong)).to_series().sum())


def _around_damage(table: SourceTable, stored: pl.DataFrame) -> Restored:
    """Images that cannot be read stand for themselves; the others are looked at as ever."""
    is_sound = pl.Series([_is_sound(table, *row) for row in stored.select("image", "personal").iter_rows()])
    sound, broken = stored.filter(is_sound), stored.filter(~is_sound)
    if broken.is_empty():  # readable one by one and not together: nothing to rely on
        sound, broken = stored.clear(), stored
    found = restore(table, sound)
    empty = pl.DataFrame({name: [None] * broken.height for name in table.columns}, schema=found.rows.select(
        list(table.columns)).schema)  # fmt: skip
    raw = digests(pl.Series([f"{key}\0damaged\0{image}" for key, image in broken.select("key", "image").iter_rows()]))
    rows = empty.with_columns(
        broken["key"].alias(KEY), pl.Series(CONTENT, raw, dtype=pl.String),
        broken["is_filtered"], broken["range_number"], broken["is_held"],
    )  # fmt: skip
    found.rows = pl.concat([found.rows, rows.select(found.rows.columns)])
    found.damaged += broken.height
    return found


def _is_sound(table: SourceTable, image: str, personal: str | None) -> bool:
    try:
        parts = [json.loads(image), *([json.loads(personal)] if personal is not None else [])]
    except ValueError:
        return False
    return all(
        isinstance(part, dict)
        and all(type(part.get(name)) in {type(None), _PYTHON.get(kind, str)} for name, kind in table.columns.items())
        for part in parts
    )
