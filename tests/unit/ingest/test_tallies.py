"""Tallies agree where the rows are the same, in whatever order and blocks, and nowhere else."""

import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.mapping import SourceTable
from services.ingest.certificate.source_side import Stretch, stretches
from services.ingest.domain.certificate import (
    Line,
    counted_identity,
    failing,
    money_lines,
    not_loaded,
    spelt,
)
from services.ingest.domain.restored import STORED, restore
from services.ingest.domain.rows import DIGEST, KEY, images, normalise, personal_images
from services.ingest.domain.tallies import Count, HashSet, Tally, with_content
from services.ingest.sources.source import Bounds
from tests.support.small_source import lot_table, small_pair

TABLE = SourceTable.model_validate(
    {
        "name": "value",
        "key": ["id"],
        "columns": {"id": "text", "year": "integer", "part": "integer", "amount": "decimal", "note": "text",
                    "owner": "text", "secret": "text", "hidden": "text"},
        "links": {"parcel_id": "id", "tax_year": "year", "supplement": "part"},
        "personal": ["owner", "secret", "hidden"],
        "personal_as": {"secret": "hmac", "hidden": "drop"},
    }
)  # fmt: skip
MOST = 10**30
AMOUNTS = st.none() | st.decimals(places=4, min_value=-MOST, max_value=MOST).map(lambda value: f"{value:f}")
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 10**6).map(str), "year": st.sampled_from(["2025", "2026"]),
         "part": st.none() | st.sampled_from(["0", "1"]), "amount": AMOUNTS,
         "note": TEXTS, "owner": TEXTS, "secret": TEXTS, "hidden": TEXTS}
    ), unique_by=lambda row: row["id"], max_size=12,
)  # fmt: skip
Row = dict[str, str | None]
FEW = settings(max_examples=40)  # each example makes frames


def frame(rows: list[Row]) -> pl.DataFrame:
    raw = pl.DataFrame(rows, schema=dict.fromkeys(TABLE.columns, pl.String))
    return with_content(TABLE, normalise(TABLE, raw))


def tally(rows: list[Row], blocks: int = 1) -> Tally:
    found = Tally()
    for block in range(blocks):
        found.take(TABLE, frame(rows[block::blocks]))
    return found


def same(one: Tally, two: Tally) -> bool:
    return (one.keys, one.content, one.differing_buckets(two)) == (two.keys, two.content, []) and all(
        line.holds for line in money_lines(one.sums, two.sums)
    )


def stored(rows: list[Row]) -> pl.DataFrame:
    """As rows are landed."""
    raw = pl.DataFrame(rows, schema=dict.fromkeys(TABLE.columns, pl.String))
    clean = normalise(TABLE, raw)
    none = pl.lit(None, dtype=pl.String)
    return clean.select(
        pl.col(KEY).alias("key"), pl.col(DIGEST).alias("digest"),
        images(TABLE, clean, hmac=lambda value: f"hmac:{len(value)}").alias("image"),
        personal_images(TABLE, clean).alias("personal"), pl.col("id").alias("parcel_id"),
        *(none.alias(name) for name in ("sale_id", "owner_id", "lot_id")), pl.lit(value=False).alias("is_filtered"),
        pl.lit(1, dtype=pl.Int64).alias("range_number"), pl.lit(value=False).alias("is_held"),
    ).select(STORED)  # fmt: skip


@FEW
@given(ROWS, st.integers(1, 4), st.randoms())
def test_neither_order_nor_blocks_matter(rows: list[Row], blocks: int, draws: random.Random) -> None:
    shuffled = draws.sample(rows, len(rows))
    assert same(tally(rows), tally(shuffled, blocks))


@FEW
@given(ROWS)
def test_sums_are_exact(rows: list[Row]) -> None:
    expected: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for row in rows:
        if row["amount"] is not None:
            expected[row["year"] or "", row["part"] or ""] += Fraction(row["amount"])
    found = {layer: Fraction(value) for (_, layer), value in tally(rows).sums.items()}
    assert found == expected


@FEW
@given(ROWS, ROWS)
def test_rows_taken_out_leave_no_trace(rows: list[Row], others: list[Row]) -> None:
    found = tally(rows)
    found.take(TABLE, frame(others))
    found.take(TABLE, frame(others), sign=-1)
    assert same(found, tally(rows))


@FEW
@given(ROWS, st.data())
def test_any_other_value_is_another_tally(rows: list[Row], data: st.DataObject) -> None:
    assume(rows)
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(["amount", "note", "part", "owner"]))
    other = data.draw(st.sampled_from([None, "", "-1", "1", "0"]))
    changed = [dict(row) for row in rows]
    changed[place][column] = other
    is_same = frame(rows).drop("hidden").equals(frame(changed).drop("hidden"))
    assert same(tally(rows), tally(changed)) == is_same


@FEW
@given(ROWS)
def test_a_pair_of_equal_rows_does_not_cancel(rows: list[Row]) -> None:
    assume(rows)
    assert not same(tally(rows), tally([*rows, rows[0], rows[0]]))


def test_contents_belong_to_their_keys() -> None:
    one, two = ({**dict.fromkeys(TABLE.columns), "id": name, "year": "2026", "note": name} for name in ("1", "2"))
    swapped = frame([one, two]).with_columns(pl.Series(KEY, ["2", "1"]))
    found = Tally()
    found.take(TABLE, with_content(TABLE, swapped))
    assert found.content != tally([one, two]).content


@FEW
@given(ROWS)
def test_a_landed_row_is_the_row_that_was_read(rows: list[Row]) -> None:
    found = restore(TABLE, stored(rows))
    assert (found.damaged, found.wrong_links, found.unmasked) == (0, 0, 0)
    landed = Tally()
    landed.take(TABLE, found.rows)
    assert same(landed, tally(rows))


@pytest.mark.parametrize(
    ("column", "value", "counted"),
    [
        ("image", "{", "damaged"), ("image", '{"id":7}', "wrong_links"), ("image", "[]", "damaged"),
        ("image", '{"id":"1","year":2026,"owner":"Ann","secret":"hmac:3"}', "unmasked"),
        ("image", '{"id":"1","year":2026,"owner":null,"secret":"hmac:3"}', "unmasked"),
        ("image", '{"id":"1","year":2026,"owner":"***","secret":"hmac:3","hidden":"x"}', "unmasked"),
        ("parcel_id", "2", "wrong_links"), ("sale_id", "2", "wrong_links"), ("parcel_id", None, "wrong_links"),
        ("personal", "{", "damaged"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_landed_row_is_counted(column: str, value: str | None, counted: str) -> None:
    row: Row = {"id": "1", "year": "2026", "part": "0", "amount": "1", "note": "n", "owner": "Ann", "secret": "Bob",
                "hidden": "x"}  # fmt: skip
    changed = stored([row]).with_columns(pl.lit(value, dtype=pl.String).alias(column))
    found = restore(TABLE, pl.concat([changed, stored([{**row, "id": "2"}])]))
    assert getattr(found, counted) == 1
    assert found.rows.height == 2


def test_a_stored_digest_is_worked_out_anew() -> None:
    table = SourceTable.model_validate(lot_table())
    clean = normalise(table, pl.DataFrame({"lot_id": ["1"], "number": ["a"], "amount": ["2"], "note": ["n"]}))
    none = {name: pl.lit(None, dtype=pl.String) for name in ("personal", "sale_id", "owner_id", "lot_id")}
    row = clean.select(
        pl.col(KEY).alias("key"), pl.col(DIGEST).alias("digest"), images(table, clean).alias("image"),
        pl.lit("1").alias("parcel_id"), pl.lit(value=False).alias("is_filtered"),
        pl.lit(None, dtype=pl.Int64).alias("range_number"), pl.lit(value=False).alias("is_held"), **none,
    ).select(STORED)  # fmt: skip
    assert restore(table, row).wrong_digests == 0
    assert restore(table, row.with_columns(pl.lit("0" * 32).alias("digest"))).wrong_digests == 1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.integers(1, 3))
def test_a_set_counts_each_once(texts: list[str], parts: int) -> None:
    found, once = HashSet(), HashSet()
    for part in range(parts):
        found.add(pl.Series(texts[part::parts], dtype=pl.String))
    found.add(pl.Series(texts, dtype=pl.String))
    once.add(pl.Series(sorted(set(texts)), dtype=pl.String))
    assert found.count() == once.count()
    assert found.count().rows == len(set(texts))


@pytest.mark.parametrize(
    ("ranges", "is_whole"),
    [
        ([(0, None, None)], True), ([(1, ("5",), None), (0, None, ("5",))], True),
        ([(1, ("5",), None), (0, None, ("5",)), (-1, None, None)], True), ([], False), ([(-1, None, None)], False),
        ([(0, None, ("5",))], False), ([(0, None, ("5",)), (1, ("6",), None)], False),
        ([(0, None, None), (1, None, ("5",))], False),
        ([(0, None, ("5",)), (1, ("5",), None), (2, ("7",), None)], False),
    ],
)  # fmt: skip
def test_ranges_have_to_cover_a_table(ranges: list[Any], is_whole: bool) -> None:  # noqa: FBT001 a column
    found = stretches(ranges)
    assert (found is not None) == is_whole
    if found is not None:
        assert found[0].bounds.lower is None
        assert found[-1].bounds.upper is None


def test_ranges_are_read_in_their_order() -> None:
    found = stretches([(7, ("5",), ("9",)), (2, ("9",), None), (4, None, ("5",))])
    assert found == [
        Stretch(Bounds(None, ("5",)), 4),
        Stretch(Bounds(("5",), ("9",)), 7),
        Stretch(Bounds(("9",), None), 2),
    ]


@pytest.mark.parametrize(
    ("source", "landed", "quarantined", "filtered", "holds"),
    [
        (10, 7, 2, 1, True), (10, 7, 1, 1, False), (10, 9, 1, 1, False), (10, 7, 1, None, None),
        (10, 10, 1, None, False), (None, 7, 0, 0, None), (0, 0, 0, 0, True),
    ],
)  # fmt: skip
def test_source_is_landed_and_quarantined_and_left_out(
    source: int | None,
    landed: int,
    quarantined: int,
    filtered: int | None,
    holds: bool | None,  # noqa: FBT001
) -> None:
    line = counted_identity(source, landed, quarantined=quarantined, filtered=filtered, why_not="nobody knows")
    assert line.holds is holds
    assert (line.note == "") == (holds is True)


def test_money_says_by_how_much() -> None:
    place = ("amount", ("2026", "1"))
    (line,) = money_lines({place: Decimal("10.50")}, {place: Decimal("8.5")})
    assert (line.name, line.source, line.landed, line.holds) == ("sum of amount, 2026/1", "10.5", "8.5", False)
    assert line.note == "landed differs by -2"
    assert failing({"value": [line]}, [Line("rules", 1, 2, holds=False), Line("x", 1, 2, holds=None)]) == [
        "value: sum of amount, 2026/1",
        "rules",
    ]


def test_what_was_never_loaded_is_not_missed() -> None:
    from contracts.mapping import Pair  # noqa: PLC0415 used once

    line = Line("rows", 10, 0, holds=False)
    whole = Pair.model_validate(small_pair(lot_table()))
    later = Pair.model_validate(small_pair(lot_table(), following={"snapshot_mode": "no_data"}))
    assert not_loaded(whole, [line]) == [line]
    assert not_loaded(later, [line])[0].holds is None


@pytest.mark.parametrize(
    ("value", "text"), [("0.00", "0"), ("-0", "0"), ("1200", "1200"), ("1.50", "1.5"), ("1E+3", "1000")]
)
def test_sums_have_one_spelling(value: str, text: str) -> None:
    assert spelt(Decimal(value)) == text


def test_counts_add_up() -> None:
    assert Count(1, 2, 3) + Count(4, 5, 6) - Count(4, 5, 6) == Count(1, 2, 3)
