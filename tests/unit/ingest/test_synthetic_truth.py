from collections import Counter
from collections.abc import Callable
from datetime import datetime

import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.quarantine import QuarantineRule as Rule
from services.ingest.synthetic.county import imagine, read_truth, write_truth
from services.ingest.synthetic.deeds import LICENCE_MARK
from services.ingest.synthetic.layers import Frames
from services.ingest.synthetic.load import to_csv
from services.ingest.synthetic.shape import read_shape
from services.ingest.synthetic.truth import DirtyRow, Truth


@pytest.fixture(scope="module")
def made() -> tuple[Frames, Truth]:
    return imagine(county="synthetic_wa", parcels=3_000, seed=1)


def test_equal_arguments_give_equal_bytes(made: tuple[Frames, Truth]) -> None:
    frames, truth = imagine(county="synthetic_wa", parcels=3_000, seed=1)
    assert truth.model_dump_json() == made[1].model_dump_json()
    assert {name: to_csv(frame) for name, frame in frames.items()} == {
        name: to_csv(frame) for name, frame in made[0].items()
    }


def test_another_seed_gives_another_county(made: tuple[Frames, Truth]) -> None:
    frames, _ = imagine(county="synthetic_wa", parcels=3_000, seed=2)
    assert not frames["sale"].equals(made[0]["sale"])


def test_truth_survives_its_file(made: tuple[Frames, Truth], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("truth") / "deep" / "truth.json"
    write_truth(path, made[1])
    assert read_truth(path) == made[1]


def test_every_filled_column_and_every_key_is_in_the_shape(made: tuple[Frames, Truth]) -> None:
    shape = read_shape()
    assert set(made[0]) == set(shape)
    for name, frame in made[0].items():
        known = {column.name for column in shape[name].columns}
        assert set(frame.columns) <= known, name
        assert set(shape[name].key) <= set(frame.columns), name
        assert frame.select(shape[name].key).is_unique().all(), name


def test_counts_agree_with_the_rows(made: tuple[Frames, Truth]) -> None:
    frames, truth = made
    expected = truth.expected
    pointer = frames["prop_supp_assoc"].filter(pl.col("owner_tax_yr") == truth.tax_year)
    working = (
        frames["property_val"]
        .join(pointer, left_on=["prop_id", "prop_val_yr", "sup_num"], right_on=["prop_id", "owner_tax_yr", "sup_num"])
        .join(frames["property"], on="prop_id")
    )
    real = working.filter(pl.col("prop_type_cd").is_in(["R", "MH"]))
    assert working.height == frames["property"].height
    assert real["prop_inactive_dt"].is_null().sum() == expected.active_real_parcels == 3_000
    assert real["prop_inactive_dt"].is_not_null().sum() == expected.inactive_properties
    assert working.height - real.height == expected.personal_properties
    assert (working["sup_num"] == 1).sum() == expected.accepted_supplements
    assert (working["sup_num"] == 2).sum() == expected.pending_supplements
    active = real.filter(pl.col("prop_inactive_dt").is_null())
    assert active["market"].sum() == expected.market_value_usd
    assert frames["sale"].height == expected.sales == truth.sales
    assert {name: frame.height for name, frame in frames.items()} == expected.rows


def test_sale_counts_agree_with_the_rows(made: tuple[Frames, Truth]) -> None:
    frames, truth = made
    dirty = {row.key["chg_of_owner_id"] for row in truth.dirty_rows if "chg_of_owner_id" in row.key}
    parcels = frames["chg_of_owner_prop_assoc"].group_by("chg_of_owner_id").len("parcels")
    sales = frames["sale"].join(parcels, on="chg_of_owner_id")
    clean = sales.filter(~pl.col("chg_of_owner_id").is_in(list(dirty)))
    qualified = clean.filter(pl.col("sl_county_ratio_cd") == "100")
    assert clean.height == truth.expected.clean_sales
    assert qualified.height == truth.expected.qualified_sales
    assert (qualified["parcels"] == 1).sum() == truth.expected.qualified_single_parcel_sales
    assert (sales["parcels"] > 1).sum() == truth.expected.multi_parcel_sales
    by_type = clean.join(frames["sale_ratio_type"], on="sl_ratio_type_cd", how="left")
    assert by_type.filter(~pl.col("invalid_sale").fill_null(value=False)).height == qualified.height


def test_land_and_buildings_add_up_to_the_roll(made: tuple[Frames, Truth]) -> None:
    frames, truth = made
    keys = ["prop_id", "prop_val_yr", "sup_num"]
    live = pl.col("sale_id") == 0
    land = frames["land_detail"].filter(live).group_by(keys).agg(pl.col("land_seg_mkt_val").sum())
    buildings = frames["imprv"].filter(live).group_by(keys).agg(pl.col("imprv_val").sum())
    dirty = [row.key["prop_id"] for row in truth.dirty_rows if row.table == "property_val"]
    values = frames["property_val"].filter(pl.col("hood_cd").is_not_null(), ~pl.col("prop_id").is_in(dirty))
    joined = values.join(land, on=keys, how="left").join(buildings, on=keys, how="left")
    parts = {
        "land_seg_mkt_val": pl.col("land_hstd_val") + pl.col("land_non_hstd_val"),
        "imprv_val": pl.col("imprv_hstd_val") + pl.col("imprv_non_hstd_val"),
    }
    for column, total in parts.items():
        gap = joined.select((pl.col(column).fill_null(0) - total).abs().max()).item()
        assert gap <= 1, column  # a supplement's correction is cut to whole dollars row by row
    assert (joined["market"] == joined.select(sum(parts.values())).to_series()).all()


def test_frozen_rows_tell_the_living_area_as_sold(made: tuple[Frames, Truth]) -> None:
    frames, _ = made
    area = (
        frames["imprv_detail"]
        .filter(pl.col("sale_id") > 0, pl.col("imprv_det_type_cd") == "MA")
        .group_by("sale_id")
        .agg(pl.col("imprv_det_area").sum())
    )
    sold = frames["sale"].join(area, left_on="chg_of_owner_id", right_on="sale_id")
    assert sold.height > 100
    assert (sold["sl_living_area"] == sold["imprv_det_area"]).all()


def test_personal_data_carries_its_mark(made: tuple[Frames, Truth]) -> None:
    frames, truth = made
    assert frames["account"]["dl_num"].str.starts_with(LICENCE_MARK).all()
    assert truth.never_read == {"account.dl_num": LICENCE_MARK}


def test_about_one_change_per_120_parcels_and_one_fact_per_object(made: tuple[Frames, Truth]) -> None:
    changes = made[1].incremental_changes
    assert len(changes) == 25
    facts = Counter((fact.subject, fact.id) for change in changes for fact in change.facts)
    assert set(facts.values()) == {1}
    assert {fact[0] for fact in facts} == {
        "parcel.changed",
        "parcel.removed",
        "sale.recorded",
        "sale.changed",
        "owner.changed",
    }


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.integers(300, 2_000))
@settings(max_examples=12, deadline=None)
def test_the_planted_rows_are_all_the_dirt_there_is(seed: int, parcels: int) -> None:
    frames, truth = imagine(county="synthetic_wa", parcels=parcels, seed=seed)
    planted = Counter((row.rule, row.table, tuple(row.key.values())) for row in truth.dirty_rows)
    assert {row.rule for row in truth.dirty_rows} == set(Rule)
    assert len({tuple(sorted(row.key.items(), key=str)) for row in truth.dirty_rows}) == len(truth.dirty_rows)
    assert _find_dirt(frames, truth) == planted
    touched = {int(fact.id) for change in truth.incremental_changes for fact in change.facts}
    assert touched.isdisjoint({_object_of(row) for row in truth.dirty_rows})
    assert len({change.name for change in truth.incremental_changes}) == 14


def _object_of(row: DirtyRow) -> object:
    return row.key.get("chg_of_owner_id", row.key.get("prop_id"))


def _find_dirt(frames: Frames, truth: Truth) -> Counter[tuple[Rule, str, tuple[object, ...]]]:
    """Looks for every rule in every row of the source, without a look at what was planted."""
    found: Counter[tuple[Rule, str, tuple[object, ...]]] = Counter()
    for rule, table, is_dirty in _searches(frames, truth):
        frame = frames[table]
        bad = is_dirty(frame) if callable(is_dirty) else frame.filter(is_dirty)
        found.update((rule, table, row) for row in bad.select(read_shape()[table].key).rows())
    return found


def _searches(frames: Frames, truth: Truth) -> list[tuple[Rule, str, pl.Expr | Callable[[pl.DataFrame], pl.DataFrame]]]:
    values = (name for name, kind in frames["property_val"].schema.items() if kind == pl.Int64 and name != "prop_id")
    hoods = frames["neighborhood"].select(hood_cd="hood_cd", prop_val_yr="hood_yr")
    uses = frames["property_use"].select("property_use_cd")
    known = frames["property"].select("prop_id")
    year = pl.col("actual_year_built")
    today = datetime(truth.tax_year + 1, 1, 1)  # noqa: DTZ001

    def without(other: pl.DataFrame, column: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
        return lambda frame: frame.filter(pl.col(column).is_not_null()).join(other, on=other.columns, how="anti")

    return [
        (Rule.YEAR_BUILT_OUT_OF_RANGE, "imprv", (year < 1700) | (year > truth.tax_year + 1)),
        (Rule.YEAR_BUILT_OUT_OF_RANGE, "property_profile", (year < 1700) | (year > truth.tax_year + 1)),
        (Rule.LIVING_AREA_NEGATIVE, "imprv_detail", pl.col("imprv_det_area") < 0),
        (Rule.LIVING_AREA_NEGATIVE, "property_profile", pl.col("living_area") < 0),
        (Rule.LAND_AREA_NEGATIVE, "land_detail", (pl.col("size_square_feet") < 0) | (pl.col("size_acres") < 0)),
        (Rule.VALUE_NEGATIVE, "property_val", pl.any_horizontal(pl.col(name) < 0 for name in values)),
        (Rule.SALE_PRICE_NEGATIVE, "sale", pl.col("sl_price") < 0),
        (Rule.SALE_DATE_IN_FUTURE, "sale", pl.col("sl_dt") > today),
        (Rule.SALE_DATE_MISSING, "sale", pl.col("sl_dt").is_null()),
        (Rule.NEIGHBORHOOD_UNKNOWN, "property_val", without(hoods, "hood_cd")),
        (Rule.USE_CODE_UNKNOWN, "property_val", without(uses, "property_use_cd")),
        (Rule.PARCEL_NUMBER_MISSING, "property", pl.col("geo_id").fill_null("").str.strip_chars() == ""),
        (Rule.GEOMETRY_INVALID, "parcelsandassess", _crossed),
        (Rule.SALE_PARCEL_UNKNOWN, "chg_of_owner_prop_assoc", without(known, "prop_id")),
        (Rule.PERCENT_OWNERSHIP_OUT_OF_RANGE, "owner", ~pl.col("pct_ownership").is_between(0, 100)),
    ]


def _crossed(frame: pl.DataFrame) -> pl.DataFrame:
    polygons = shapely.from_wkb(frame["shape"].str.strip_prefix("\\x").to_numpy())
    return frame.filter(pl.Series(~shapely.is_valid(polygons)))
