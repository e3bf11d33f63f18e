"""Our Student t and sign-test ranks against scipy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from appraisal.distributions import incomplete_beta, median_ranks, student_t_two_sided


@given(st.integers(min_value=1, max_value=50_000), st.floats(min_value=0.01, max_value=0.999))
def test_student_t_agrees_with_scipy(degrees: int, confidence: float) -> None:
    expected = stats.t.ppf((1 + confidence) / 2, degrees)
    assert student_t_two_sided(confidence, degrees=degrees) == pytest.approx(expected, rel=1e-8)


@given(
    st.floats(min_value=0.1, max_value=500),
    st.floats(min_value=0.1, max_value=500),
    st.floats(min_value=0, max_value=1),
)
def test_incomplete_beta_agrees_with_scipy(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-10)


@given(st.integers(min_value=1, max_value=30_000), st.sampled_from([0.80, 0.90, 0.95, 0.99]))
def test_median_ranks_are_the_widest_that_keep_the_confidence(n: int, confidence: float) -> None:
    ranks, tail = median_ranks(n, confidence), (1 - confidence) / 2
    rank = 0 if ranks is None else ranks[0]
    assert ranks is None or ranks[1] == n + 1 - rank
    assert rank == 0 or stats.binom.cdf(rank - 1, n, 0.5) <= tail * (1 + 1e-9)
    assert stats.binom.cdf(rank, n, 0.5) > tail * (1 - 1e-9)


def test_five_sales_are_too_few_for_a_median_interval_and_six_are_enough() -> None:
    assert median_ranks(5, 0.95) is None
    assert median_ranks(6, 0.95) == (1, 6)
