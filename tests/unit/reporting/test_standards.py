import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporting.domain.standards import LEVEL, PRB, PRD, judge, judge_cod, level_range

numbers = st.floats(-2, 2)


@pytest.mark.parametrize(
    ("value", "interval", "allowed", "code"),
    [
        (0.98, (0.96, 1.00), LEVEL, "within"),
        (0.90, None, LEVEL, "within"),
        (0.716, (0.703, 0.730), LEVEL, "outside"),
        (0.89, (0.87, 0.91), LEVEL, "not_established"),
        (1.04, (1.031, 1.05), PRD, "outside"),
        (1.04, (1.03, 1.05), PRD, "not_established"),
        (-0.06, (-0.08, -0.04), PRB, "not_established"),
        (-0.06, None, PRB, "outside"),
        (None, None, PRB, "too_few"),
    ],
)
def test_a_figure_fails_only_where_its_interval_does(
    value: float | None, interval: tuple[float, float] | None, allowed: tuple[float, float], code: str
) -> None:
    assert judge(value, interval, allowed).code == code


def test_an_unusually_low_cod_is_a_warning() -> None:
    assert judge_cod(3.1, (2.9, 3.3), (5.0, 15.0)).code == "not_established"
    assert "sales chasing" in judge_cod(3.1, None, (5.0, 15.0)).text
    assert judge_cod(9.73, (8.4, 11.1), (5.0, 15.0)).code == "within"


def test_the_level_follows_the_law() -> None:
    assert level_range(1.0) == LEVEL
    assert level_range(0.5) == (0.45, 0.55)


@given(numbers, st.floats(0, 1), st.floats(0, 1))
def test_a_wider_interval_never_makes_a_failure(value: float, reach: float, more: float) -> None:
    narrow = judge(value, (value - reach, value + reach), LEVEL).code
    wide = judge(value, (value - reach - more, value + reach + more), LEVEL).code
    assert (narrow, wide) in {(code, code) for code in ("within", "outside", "not_established")} | {
        ("outside", "not_established")
    }
