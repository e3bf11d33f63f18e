"""Makes of a raw block of rows what is copied into the stage: normalised, judged, spelt; in the reading thread."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from contracts.mapping import ColumnType, Link, Pair, SourceTable
from services.ingest.domain.checks import Known, judge
from services.ingest.domain.entities import link_values
from services.ingest.domain.rows import DIGEST, KEY, NUL, Hmac, images, normalise, personal_images
from services.ingest.sources.source import HASH, Digest

LINKS = {"parcel_id": Link.PARCEL_ID, "sale_id": Link.SALE_ID, "owner_id": Link.OWNER_ID, "lot_id": Link.LOT_ID}
COLUMNS = (
    "place", "verdict", "key", "digest", "image", "personal", *LINKS, "is_filtered", "repeat_order", "op", "log",
)  # fmt: skip
_LOG = ("@token", "@sequence", "@transaction", "@before")
_OP = "@op"
SOURCE_KEY = "@source_key"


@dataclass(frozen=True, slots=True)
class Sight:
    """How the rows of a table are looked at in this run."""

    pair: Pair
    table: SourceTable
    known: Callable[[], Known]
    """Asked once there is a row to judge."""
    today: date
    lands_filtered: bool = False
    """Whether rows that the mapping leaves out are landed as such: others are judged by them."""
    hmac: Hmac | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are ready to be copied, and what was found in them."""

    csv: bytes
    rows_read: int = 0
    rows_quarantined: int = 0
    rows_filtered: int = 0
    violations: pl.DataFrame = field(default_factory=pl.DataFrame)
    digest: Digest | None = None
    """Of all rows that were read, by the source's own hashes; null where it has none."""
    keys: "np.ndarray[tuple[int], np.dtype[np.uint64]]" = field(default_factory=lambda: np.empty(0, np.uint64))
    """Hashes of the keys: equal ones may be repeats, different ones are none."""


def prepare(sight: Sight, raw: pl.DataFrame, *, place: int, is_log: bool = False, tells_left: bool = False) -> Block:
    """The block in the form of the stage; `place` counts the rows of its batch before it.

    With `tells_left` the keys of rows that the mapping leaves out are told too: nothing else says that they went.
    """
    rows = normalise(sight.table, raw).with_columns(
        pl.Series("place", range(place, place + raw.height), dtype=pl.Int64)
    )
    gone = rows.clear()
    if is_log:
        rows = rows.with_columns(_log_columns(raw))
        gone, rows = rows.filter(pl.col("op") == "d"), rows.filter(pl.col("op") != "d")
    judged = judge(sight.pair, sight.table, rows, sight.known(), today=sight.today, has_repeats=not is_log)
    parts = [_shaped(sight, judged.accepted, "a")]
    if sight.lands_filtered:
        parts.append(_shaped(sight, judged.filtered, "a", is_filtered=True))
    elif is_log:  # whoever knows the row hears that it is gone
        left = judged.filtered.with_columns(pl.lit("d").alias("op"))
        gone = pl.concat([told.select("place", KEY, "op", "log") for told in (gone, left)])
    elif tells_left:
        parts.append(_left(judged.filtered))
    parts.append(_held(judged.violations))
    if gone.height:
        parts.append(_gone(gone))
    staged = pl.concat(parts).sort("place") if is_log else pl.concat(parts)
    buffer = io.BytesIO()
    staged.write_csv(buffer, include_header=False)
    return Block(
        csv=buffer.getvalue(),
        rows_read=raw.height,
        rows_quarantined=judged.rows_quarantined,
        rows_filtered=judged.rows_filtered,
        violations=_with_source_keys(sight.table, raw, rows, judged.violations, place=place),
        digest=digest_of(raw[HASH]) if HASH in raw.columns and not raw[HASH].null_count() else None,
        keys=np.empty(0, np.uint64) if is_log else staged["key"].hash().to_numpy(),
    )


def _with_source_keys(
    table: SourceTable, raw: pl.DataFrame, rows: pl.DataFrame, violations: pl.DataFrame, *, place: int
) -> pl.DataFrame:
    """Violations with their rows' keys as the source gave them, by which it can be asked for them again."""
    hit = rows.filter(pl.col(KEY).is_in(violations[KEY].implode())).select(KEY, "place").unique(KEY, keep="first")
    spelt = raw.select(table.key)[(hit["place"] - place).to_list()].rows()
    stored = [None if any(NUL in (part or "") for part in key) else list(key) for key in spelt]
    keys = pl.Series(SOURCE_KEY, stored, dtype=pl.List(pl.String))
    return violations.join(hit.select(KEY).with_columns(keys), on=KEY, how="left", maintain_order="left")


def digest_of(hashes: pl.Series) -> Digest:
    """As `Digest.of`, a hundred thousand rows at once."""
    if hashes.is_empty():
        return Digest()
    halves = np.frombuffer(bytes.fromhex("".join(hashes.to_list())), dtype=">i8").reshape(-1, 2)
    sums = [
        int((half >> 32).sum()) * (1 << 32) + int((half & 0xFFFFFFFF).sum()) for half in (halves[:, 0], halves[:, 1])
    ]
    return Digest(len(hashes), sums[0], sums[1])


def _log_columns(raw: pl.DataFrame) -> list[pl.Series]:
    """What a log says of each change, as JSON; the row before is raw and stays out of it."""
    known = [name for name in _LOG[:3] if name in raw.columns]
    log = raw.select(pl.struct(pl.col(name).alias(name[1:]) for name in known).struct.json_encode()).to_series()
    return [raw[_OP].alias("op"), log.alias("log")]


def _shaped(sight: Sight, rows: pl.DataFrame, verdict: str, *, is_filtered: bool = False) -> pl.DataFrame:
    table = sight.table
    links = [
        link_values(table, rows, link).cast(pl.String).alias(name)
        if link in table.links
        else pl.lit(None, dtype=pl.String).alias(name)
        for name, link in LINKS.items()
    ]
    order = table.repeats_ordered_by
    is_number = order is not None and table.columns[order] in {ColumnType.INTEGER, ColumnType.DECIMAL}
    place = pl.col(order).cast(pl.String) if order is not None else pl.lit(None, dtype=pl.String)
    if is_number:
        place = pl.when(place.is_not_null()).then(_sortable(place))
    return rows.select(
        pl.col("place"),
        pl.lit(verdict).alias("verdict"),
        pl.col(KEY).alias("key"),
        pl.col(DIGEST).alias("digest"),
        images(table, rows, hmac=sight.hmac).alias("image"),
        personal_images(table, rows).alias("personal"),
        *links,
        pl.lit(is_filtered).alias("is_filtered"),
        place.alias("repeat_order"),
        pl.col("op") if "op" in rows.columns else pl.lit(None, dtype=pl.String).alias("op"),
        pl.col("log") if "log" in rows.columns else pl.lit(None, dtype=pl.String).alias("log"),
    ).select(COLUMNS)


def _sortable(number: pl.Expr) -> pl.Expr:
    """A number as a text that sorts like it, to six digits after the point."""
    millionths = (number.cast(pl.Float64) * 1_000_000).round().cast(pl.Int64)
    return (millionths + (1 << 61)).cast(pl.String).str.zfill(20)


def _held(violations: pl.DataFrame) -> pl.DataFrame:
    """Keys of rows that are held back: they are there, so what is landed of them is not gone."""
    keys = violations.group_by(KEY, maintain_order=True).agg(
        (pl.col("rule") == "key_repeated").any().alias("is_repeated")
    )
    verdict = pl.when("is_repeated").then(pl.lit("r")).otherwise(pl.lit("q"))
    return _keys_only(
        keys.select(pl.lit(-1, dtype=pl.Int64).alias("place"), verdict.alias("verdict"), pl.col(KEY).alias("key"))
    )


def _left(rows: pl.DataFrame) -> pl.DataFrame:
    """Keys of rows that the mapping leaves out."""
    return _keys_only(
        rows.select(pl.lit(-1, dtype=pl.Int64).alias("place"), pl.lit("f").alias("verdict"), pl.col(KEY).alias("key"))
    )


def _gone(rows: pl.DataFrame) -> pl.DataFrame:
    """Deletions of a log."""
    keys = rows.select("place", pl.lit("a").alias("verdict"), pl.col(KEY).alias("key"), "op", "log")
    return _keys_only(keys)


def _keys_only(keys: pl.DataFrame) -> pl.DataFrame:
    missing = [
        pl.lit(value=False).alias(name) if name == "is_filtered" else pl.lit(None, dtype=pl.String).alias(name)
        for name in COLUMNS
        if name not in keys.columns
    ]
    return keys.with_columns(missing).select(COLUMNS)


def held_block(violations: pl.DataFrame, keys: pl.Series) -> Block:
    """Rows of which only the keys are known: they were read as far as counting goes, and are held back."""
    buffer = io.BytesIO()
    _held(violations).write_csv(buffer, include_header=False)
    named = violations.with_columns(keys.alias(SOURCE_KEY))
    return Block(buffer.getvalue(), violations.height, violations.height, 0, named)
