"""Neighbourhoods of one level become a group, others stay apart, and every joining has its reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraisal.errors import ArgumentOutOfRangeError, LengthMismatchError, NotNumericError
from appraisal.neighborhood_groups import NeighborhoodEvidence, Regrouping, propose_groups

NOISE = 0.1


def city(count: int = 60, *, seed: int = 1, sales: int = 60, located: bool = True) -> list[NeighborhoodEvidence]:
    """Three parts of a city from west to east, 20 % apart; names begin with their part."""
    draw = np.random.default_rng(seed)
    part = np.arange(count) % 3
    sold = draw.poisson(sales, count)
    level = 0.2 * (part - 1) + draw.normal(0, NOISE, count) / np.sqrt(np.maximum(sold, 1))
    return [
        NeighborhoodEvidence(
            name=f"{part[n]}-{n:02d}",
            sales=int(sold[n]),
            level=float(level[n]) if sold[n] else float("nan"),
            longitude=float(part[n] + draw.uniform(0, 0.9)) if located else float("nan"),
            latitude=float(45 + draw.uniform(0, 1)) if located else float("nan"),
        )
        for n in range(count)
    ]


def check_sound(places: list[NeighborhoodEvidence], made: Regrouping) -> None:
    """Every neighbourhood stands in one group, and the merges lead there."""
    named = [name for group in made.groups for name in group.neighborhoods]
    assert sorted(named) == sorted(place.name for place in places)
    assert len(made.groups) + len(made.merges) == len(places)
    sold = {place.name: place.sales for place in places}
    for group in made.groups:
        assert group.sales == sum(sold[name] for name in group.neighborhoods)
        assert group.has_enough_sales == (group.sales >= 30)


@pytest.mark.parametrize("located", [True, False])
def test_parts_of_a_city_are_found_and_not_mixed(located: bool) -> None:  # noqa: FBT001 - a test's parameter
    places = city(located=located)
    made = propose_groups(places, noise=NOISE)
    check_sound(places, made)
    assert len(made.groups) <= 12
    for group in made.groups:
        assert len({name[0] for name in group.neighborhoods}) == 1
    assert [group.level for group in made.groups] == sorted((group.level for group in made.groups), reverse=True)
    assert {merge.touching for merge in made.merges} == {True if located else None}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 10_000), st.booleans())
def test_any_city_is_regrouped_soundly(count: int, sales: int, seed: int, located: bool) -> None:  # noqa: FBT001
    places = city(count, seed=seed, sales=sales, located=located)
    made = propose_groups(places, noise=NOISE)
    check_sound(places, made)
    small = [group for group in made.groups if not group.has_enough_sales]
    if located and sum(place.sales for place in places) >= 30:
        assert len(small) == 0 or len(made.groups) > 1  # only what touches nothing else may stay small


def test_small_neighborhoods_are_joined_and_the_reason_is_told() -> None:
    places = [
        NeighborhoodEvidence(name="big", sales=100, level=0.0, longitude=0, latitude=45),
        NeighborhoodEvidence(name="small", sales=10, level=0.3, longitude=0.1, latitude=45),
        NeighborhoodEvidence(name="none", sales=0, level=float("nan"), longitude=0.2, latitude=45),
        NeighborhoodEvidence(name="dear", sales=100, level=0.5, longitude=0.3, latitude=45),
    ]
    made = propose_groups(places, noise=NOISE, nearest=1)
    reasons = {merge.joined: merge for merge in made.merges}
    assert (reasons["none"].reason, reasons["none"].difference_percent) == ("no_sales", None)
    small = reasons["small"]
    assert (small.reason, small.group, small.sales) == ("too_few_sales", "big", (100, 10))
    assert small.difference_percent == pytest.approx(100 * np.expm1(0.3))
    assert small.difference_interval is not None
    assert small.difference_interval[0] < small.difference_percent < small.difference_interval[1]
    assert all(group.has_enough_sales for group in made.groups)
    assert "dear" not in {name for group in made.groups if "big" in group.neighborhoods for name in group.neighborhoods}


def test_alike_but_far_apart_are_not_joined() -> None:
    places = [
        NeighborhoodEvidence(name=f"{side}{n}", sales=200, level=level, longitude=at + n / 10, latitude=45)
        for side, at, level in (("w", 0, 0.0), ("m", 5, 0.4), ("e", 10, 0.0))
        for n in range(3)
    ]
    made = propose_groups(places, noise=NOISE, nearest=2)
    assert sorted(group.neighborhoods for group in made.groups) == [
        ("e0", "e1", "e2"),
        ("m0", "m1", "m2"),
        ("w0", "w1", "w2"),
    ]
    assert {merge.reason for merge in made.merges} == {"levels_alike"}


def test_without_place_and_sale_a_neighborhood_stays_alone() -> None:
    places = [*city(6, located=False), NeighborhoodEvidence(name="unknown", sales=0, level=float("nan"))]
    [alone] = [group for group in propose_groups(places, noise=NOISE).groups if "unknown" in group.neighborhoods]
    assert (alone.neighborhoods, alone.sales, alone.has_enough_sales) == (("unknown",), 0, False)


def test_refusals() -> None:
    with pytest.raises(LengthMismatchError):
        propose_groups([*city(3), *city(3)], noise=NOISE)
    with pytest.raises(ArgumentOutOfRangeError):
        propose_groups(city(3), noise=0.0)
    with pytest.raises(NotNumericError):
        propose_groups([NeighborhoodEvidence(name="a", sales=3, level=float("nan"))], noise=NOISE)
