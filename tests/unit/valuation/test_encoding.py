"""Characteristics as terms: the same for a property whoever stands beside it, and never infinite."""

from dataclasses import replace

import numpy as np
import pytest

from services.valuation.domain.encoding import MOST_LEVELS, Encoding, learn_encoding
from services.valuation.domain.properties import Properties
from services.valuation.domain.sales import Sales


@pytest.fixture(scope="module")
def sold(sold: Sales) -> Properties:
    draw = np.random.default_rng(1)
    count = len(sold)
    basement = np.where(draw.random(count) < 0.5, 0.0, draw.uniform(20, 900, count))
    view = draw.integers(0, 5, count).astype(float)
    roof = draw.choice(["tile", "slate", "", "thatch"], count, p=[0.5, 0.3, 0.199, 0.001]).astype(object)
    street = np.array([f"street {n % 150}" for n in range(count)], dtype=object)
    return replace(
        sold.properties,
        attributes={"basement": basement, "view": view, "constant": np.ones(count)},
        categories={"roof": roof, "street": street},
    )


@pytest.fixture(scope="module")
def encoding(sold: Properties) -> Encoding:
    return learn_encoding(sold, 2025)


def test_a_property_is_encoded_alike_alone_and_among_others(sold: Properties, encoding: Encoding) -> None:
    whole = encoding.matrix(sold)
    for row in (0, 17, 303):
        np.testing.assert_array_equal(encoding.matrix(sold.take(np.array([row])))[0], whole[row])


def test_properties_that_nothing_tells_apart_have_no_terms_and_still_a_matrix(sold: Properties) -> None:
    alike = sold.take(np.zeros(40, dtype=int))
    nothing = learn_encoding(alike, 2025)
    assert nothing.terms == ()
    assert nothing.matrix(alike).shape == (40, 0)


def test_constant_columns_and_rare_levels_make_no_terms(encoding: Encoding) -> None:
    names = {term.name for term in encoding.terms}
    assert {"basement", "view", "roof=tile", "roof=slate"} <= names
    assert not names & {"constant", "constant?", "roof=thatch", "use=11"}
    assert sum(name.startswith("street=") for name in names) <= MOST_LEVELS


def test_impossible_and_missing_characteristics_are_filled(sold: Properties, encoding: Encoding) -> None:
    strange = replace(
        sold.take(np.arange(3)),
        year_built=np.array([2999.0, 1200.0, np.nan]),
        effective_year_built=np.full(3, np.nan),
        attributes={},
        categories={},
    )
    matrix = encoding.matrix(strange)
    assert np.isfinite(matrix).all()
    age = [term.name for term in encoding.terms].index("age")
    assert matrix[0, age] == matrix[2, age]  # a house of the future is one of unknown age
    assert matrix[1, age] > matrix[0, age]


def test_squares_of_all_numbers_wait_for_enough_sales(sold: Properties, encoding: Encoding) -> None:
    few = learn_encoding(sold.take(np.arange(100)), 2025)
    assert "view^2" in {term.name for term in encoding.terms}
    assert "view^2" not in {term.name for term in few.terms}
    assert "age^2" in {term.name for term in few.terms}
