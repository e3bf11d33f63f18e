"""Further attributes: those are used that sales tell apart, never what repeats a value, whatever a record holds."""

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.valuation.domain.attributes import (
    COLUMN,
    KNOWN_SHARE,
    MOST_ATTRIBUTES,
    MOST_CANDIDATES,
    AttributeRules,
    Attributes,
    candidates,
    choose,
)
from services.valuation.domain.encoding import learn_encoding
from services.valuation.domain.properties import Properties, UseCodes, properties
from services.valuation.domain.sales import to_sales
from tests.support.planted_market import planted_sales

ROWS = 600


@pytest.fixture(scope="module")
def draw() -> np.random.Generator:
    return np.random.default_rng(3)


def sold(**attributes: Any) -> pl.DataFrame:
    """Planted sales with a column of texts for each attribute."""
    columns = {COLUMN + key: pl.Series(list(map(as_text, values))) for key, values in attributes.items()}
    return planted_sales(count=ROWS).with_columns(**{k: v.cast(pl.String) for k, v in columns.items()})


def as_text(value: Any) -> str | None:
    """What `->>` makes of a value that is no object and no array."""
    if value is None or isinstance(value, dict | list):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def chosen(frame: pl.DataFrame, **rules: Any) -> Attributes:
    keys = [name.removeprefix(COLUMN) for name in frame.columns if name.startswith(COLUMN)]
    known = {key: frame[COLUMN + key].count() for key in keys}
    return choose(candidates(known, AttributeRules(**rules)), frame)


def test_numbers_truth_and_recurring_texts_are_used_and_the_rest_is_counted(draw: np.random.Generator) -> None:
    frame = sold(
        garage_area_sqft=[(None, 400, 525.5)[at] for at in draw.integers(0, 3, ROWS)],
        waterfront=draw.choice([True, False], ROWS).tolist(),
        view=draw.choice(["none", "lake", "city"], ROWS).tolist(),
        zip=draw.choice(["99336", "99337", "99352"], ROWS).tolist(),
        remarks=[f"unlike any other {n}" for n in range(ROWS)],
        county=["Benton"] * ROWS,
        rare=[1.5 if n < KNOWN_SHARE * ROWS - 1 else None for n in range(ROWS)],
        blank=["  "] * ROWS,
    )
    found = chosen(frame)
    assert found.card() == {
        "numbers": ["waterfront", "garage_area_sqft"],
        "texts": ["view", "zip"],
        "left_out": {"hardly_recurs": 1, "rarely_known": 2, "tells_nothing": 1},
    }
    read = found.onto(properties(frame), found.typed(frame))
    assert set(read.attributes["waterfront"]) == {0.0, 1.0}
    garage = read.attributes["garage_area_sqft"]
    assert set(garage[np.isfinite(garage)]) == {400.0, 525.5}
    assert np.isnan(garage).sum() == frame[COLUMN + "garage_area_sqft"].null_count()
    assert set(read.categories["view"]) == {"none", "lake", "city"}


def test_five_percent_known_is_enough_and_a_line_less_is_not() -> None:
    enough = math.ceil(KNOWN_SHARE * ROWS)
    values = [float(n % 7) if n < enough else None for n in range(ROWS)]
    assert chosen(sold(vaults=values)).keys == ("vaults",)
    assert chosen(sold(vaults=[None, *values[1:]])).left_out == {"rarely_known": 1}


@pytest.mark.parametrize(
    "key",
    [
        "last_sale_price", "assessed_value", "LandVal", "RMVTotal_FMV", "tax_rate", "market_area", "cost_new",
        "SalePrice",
        "annual_usd", "soldFor", "owner_occupied", "homestead_exemption", "deed_book_page", "last_transfer_date",
        "AV2024",
    ],
)  # fmt: skip
def test_what_speaks_of_money_or_owners_is_left_out_unless_the_county_says_so(key: str) -> None:
    frame = sold(**{key: [n % 5 for n in range(ROWS)]})
    assert chosen(frame).left_out == {"by_name": 1}
    assert chosen(frame, used=[key]).keys == (key,)


@pytest.mark.parametrize("key", ["garage_area_sqft", "view", "valley", "wholesome", "fireplaces", "Average", "avenue"])
def test_names_of_characteristics_are_not_taken_for_money(key: str) -> None:
    assert chosen(sold(**{key: [n % 5 for n in range(ROWS)]})).keys == (key,)


def test_the_county_can_leave_an_attribute_out() -> None:
    frame = sold(view=[n % 5 for n in range(ROWS)], roof=["tile", "slate"] * (ROWS // 2))
    found = chosen(frame, ignored=["view"])
    assert (found.keys, found.left_out) == (("roof",), {"ignored": 1})


@pytest.mark.parametrize("amount", ["sale_price_usd", "total_value_usd", "land_value_usd"])
def test_a_copy_of_an_amount_is_found_out_whatever_its_name(amount: str, draw: np.random.Generator) -> None:
    copied = planted_sales(count=ROWS)[amount].cast(pl.Float64).to_numpy()
    rounded = np.round(copied * draw.uniform(0.9995, 1.0005, ROWS))
    half = np.where(draw.random(ROWS) < 0.5, rounded, draw.uniform(5e3, 5e4, ROWS))
    assert chosen(sold(rtv25=rounded.tolist())).left_out == {"repeats_value": 1}
    assert chosen(sold(rtv25=half.tolist())).left_out == {"repeats_value": 1}


def test_amounts_of_other_parcels_repeat_nothing(draw: np.random.Generator) -> None:
    others = draw.permutation(planted_sales(count=ROWS)["sale_price_usd"].to_numpy())
    assert chosen(sold(gross_area=others.tolist())).keys == ("gross_area",)


def test_five_hundred_attributes_are_bounded_the_most_often_known_first() -> None:
    keys = [f"a{n:03d}" for n in range(500)]
    frame = sold(**{key: [row % 7 if row % 500 >= at else None for row in range(ROWS)] for at, key in enumerate(keys)})
    found = chosen(frame)
    assert found.keys == tuple(keys[:MOST_ATTRIBUTES])
    assert found.left_out == {"too_many": 500 - MOST_ATTRIBUTES}
    assert len(candidates(dict.fromkeys(keys, 1), AttributeRules()).keys) == MOST_CANDIDATES


def test_few_sales_carry_few_attributes_and_few_levels() -> None:
    few = sold(**{f"n{at}": [row % 7 for row in range(ROWS)] for at in range(9)}).head(60)
    assert len(chosen(few).keys) == 60 // 15
    streets = sold(street=[f"street {row % 90}" for row in range(ROWS)], roof=["tile", "slate"] * (ROWS // 2))
    assert (chosen(streets).keys, chosen(streets).left_out) == (("roof",), {"too_many": 1})


def test_a_name_that_a_line_has_already_keeps_apart() -> None:
    frame = sold(time=[n % 5 for n in range(ROWS)], use_code=["a", "b"] * (ROWS // 2))
    names = {attribute.key: attribute.name for attribute in chosen(frame).used}
    assert names == {"time": "time (of the record)", "use_code": "use_code (of the record)"}


GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["NaN", "-Infinity", "", "  ", "$1,2,3", "12%", "0", "1900-13-45", "2024-02-29", "99336", "TRUE"]),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=12),
    st.just({"nested": [1, {"deep": None}]}),
    st.just([1, "a", None]),
)
KEYS = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=70), st.sampled_from(["age", "base", "x?"])
)
DOCUMENTS = st.dictionaries(KEYS, st.lists(GARBAGE, min_size=1, max_size=9), max_size=8)


@given(DOCUMENTS)
def test_whatever_a_record_holds_becomes_finite_terms_or_is_counted(document: dict[str, list[Any]]) -> None:
    keys = list(document)
    plain = planted_sales(count=ROWS)
    cells = {
        COLUMN + key: [as_text(values[row % len(values)]) for row in range(ROWS)] for key, values in document.items()
    }
    frame = plain.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in cells.items())
    looked_at = candidates(dict.fromkeys(keys, 1), AttributeRules())
    found = choose(looked_at, frame)
    assert len(found.used) + sum(found.left_out.values()) == len(keys)
    backwards = choose(candidates(dict.fromkeys(reversed(keys), 1), AttributeRules()), frame)
    assert backwards == found
    typed = found.typed(frame)
    read = to_sales(typed, UseCodes(), found).properties
    encoding = learn_encoding(read, 2025)
    assert np.isfinite(encoding.matrix(read)).all()
    one = found.onto(properties(plain.head(1)), found.typed(frame.head(1)))
    _require_alike(one, read)
    assert json.dumps(found.card())


def _require_alike(one: Properties, read: Properties) -> None:
    """A property read alone is what it is among others."""
    for name, values in one.attributes.items():
        np.testing.assert_array_equal(values, read.attributes[name][:1])
    for name, levels in one.categories.items():
        assert levels[0] == read.categories[name][0]
