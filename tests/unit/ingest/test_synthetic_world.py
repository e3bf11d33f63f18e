import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from services.ingest.synthetic.houses import Use
from services.ingest.synthetic.prices import MONTHLY_TREND_PERCENT, PRICE_NOISE_SD, log_price
from services.ingest.synthetic.sales import Validity
from services.ingest.synthetic.streets import SRID, self_crossing, split_in_two
from services.ingest.synthetic.world import World, build_world


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(parcels=3_000, seed=1, tax_year=2026)


def test_lots_do_not_overlap_and_have_plausible_areas(world: World) -> None:
    polygons = shapely.polygons(world.lots.corners_ft)
    assert shapely.is_valid(polygons).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    assert shapely.coverage_is_valid(polygons)
    areas = shapely.area(polygons)
    assert areas.min() > 2_500
    assert areas.max() < 400_000
    assert np.abs(areas - world.lots.area_sqft).max() <= 0.5


def test_most_lots_share_a_side_with_another(world: World) -> None:
    tree = shapely.STRtree(polygons := shapely.polygons(world.lots.corners_ft))
    left, right = tree.query(polygons, predicate="touches")
    sides = shapely.length(shapely.intersection(polygons[left], polygons[right]))
    with_side = np.unique(left[sides > 10])
    assert len(with_side) > 0.99 * world.parcels


def test_the_county_lies_where_it_should(world: World) -> None:
    to_degrees = Transformer.from_crs(SRID, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(*world.lots.corners_ft.reshape(-1, 2).T)
    assert np.abs(longitude + 119.2).max() < 0.15
    assert np.abs(latitude - 46.2).max() < 0.15


def test_a_lot_cuts_into_two_valid_halves_and_can_be_crossed(world: World) -> None:
    lot = world.lots.corners_ft[7]
    front, rear = (shapely.polygons(half) for half in split_in_two(lot))
    assert front.is_valid
    assert rear.is_valid
    assert front.area + rear.area == pytest.approx(shapely.polygons(lot).area, abs=2)
    assert not shapely.polygons(self_crossing(lot)).is_valid


def test_shares_are_as_described(world: World) -> None:
    sales = world.sales
    is_sale = sales.validity != Validity.NO_SALE
    sold_houses = np.unique(sales.parcel[world.buildings.is_improved[sales.parcel]])
    assert 0.30 < len(sold_houses) / world.buildings.is_improved.sum() < 0.40
    assert 0.09 < (sales.validity[is_sale] != Validity.VALID).mean() < 0.15
    assert 0.015 < (sales.parcel_count[is_sale] > 1).mean() < 0.045
    assert len(world.neighborhood_effects) == 20
    shares = np.bincount(world.buildings.use) / world.parcels
    assert shares == pytest.approx([0.83, 0.04, 0.05, 0.08], abs=0.02)


def test_nothing_sells_before_it_was_built_or_after_the_tax_year_began(world: World) -> None:
    sales, built = world.sales, world.buildings.year_built
    dates = np.datetime64("2026-01-01") + sales.day.astype("timedelta64[D]")
    years = dates.astype("datetime64[Y]").astype(int) + 1970
    assert (years[sales.sale] > built[sales.parcel]).all()
    assert dates.max() < np.datetime64("2026-01-01")
    assert dates.min() >= np.datetime64("2021-01-01")


def test_prices_follow_the_process_trend_and_noise() -> None:
    world = build_world(parcels=20_000, seed=5, tax_year=2026)
    sales = world.sales
    chosen = np.flatnonzero((sales.validity == Validity.VALID) & (sales.parcel_count == 1))
    dates = np.datetime64("2026-01-01") + sales.day[chosen].astype("timedelta64[D]")
    level = log_price(
        world.lots,
        world.buildings,
        world.neighborhood_effects,
        parcel=sales.first_parcel[chosen],
        year=dates.astype("datetime64[Y]").astype(int) + 1970,
        living_area_sqft=sales.sold_living_area_sqft[chosen],
    )
    rest = np.log(sales.price_usd[chosen]) - level
    slope, intercept = np.polyfit(sales.day[chosen] / 30.4375, rest, 1)
    noise = rest - slope * sales.day[chosen] / 30.4375 - intercept
    assert 100 * np.expm1(slope) == pytest.approx(MONTHLY_TREND_PERCENT, abs=0.02)
    assert intercept == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(PRICE_NOISE_SD, abs=0.005)


def test_assessments_are_low_and_regressive(world: World) -> None:
    sales = world.sales
    chosen = (sales.validity == Validity.VALID) & (sales.parcel_count == 1)
    chosen &= world.buildings.use[sales.first_parcel] == Use.RESIDENTIAL
    adjusted = sales.price_usd * np.exp(-sales.day / 30.4375 * np.log1p(MONTHLY_TREND_PERCENT / 100))
    price = adjusted[chosen]
    value = world.current.total_usd[sales.first_parcel[chosen]]
    ratio = value / price
    assert 0.88 < np.median(ratio) < 0.97
    assert 1.01 < ratio.mean() / (value.sum() / price.sum()) < 1.08
    assert 7 < 100 * np.abs(ratio - np.median(ratio)).mean() / np.median(ratio) < 15


@given(st.integers(0, 2**32 - 1), st.integers(300, 700))
@settings(max_examples=15, deadline=None)
def test_any_world_has_distinct_parcels_and_consistent_sizes(seed: int, parcels: int) -> None:
    world = build_world(parcels=parcels, seed=seed, tax_year=2026)
    assert len(np.unique(world.prop_id)) == parcels + world.inactive + world.personal
    assert (world.buildings.upper_area_sqft <= world.buildings.living_area_sqft).all()
    assert (world.current.land_usd > 0).all()
    assert (world.current.improvement_usd >= 0).all()
    assert (world.sales.price_usd > 0).all()
    pairs = pl.DataFrame({"sale": world.sales.sale, "parcel": world.sales.parcel})
    assert pairs.is_unique().all()
    shares = pl.DataFrame({"holding": world.owners.holding, "percent": world.owners.percent})
    assert (shares.group_by("holding").agg(pl.col("percent").sum())["percent"] == 100).all()


def test_too_small_a_county_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 300 parcels"):
        build_world(parcels=299, seed=1, tax_year=2026)
