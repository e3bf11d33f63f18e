"""Verdicts of the IAAO standard, trimming, and Washington's indicated ratio."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appraisal.errors import ArgumentOutOfRangeError, TooFewSalesError, ValueNotPositiveError
from appraisal.indicated_ratio import Stratum, indicated_ratio
from appraisal.outliers import EXTREME_OUTLIER, OUTLIER, trim_ratios
from appraisal.ratio_study import RatioStudy, ratio_study
from appraisal.standards import Outcome, PropertyClass, judge


def good_study() -> RatioStudy:
    generator = np.random.default_rng(2)
    price = np.exp(generator.normal(12.8, 0.4, 400))
    return ratio_study(price * generator.normal(1, 0.1, 400), price)


def outcomes(study: RatioStudy, property_class: PropertyClass, level: float = 1.0) -> dict[str, Outcome]:
    return {verdict.statistic: verdict.outcome for verdict in judge(study, property_class, level=level)}


def test_a_good_study_meets_every_standard() -> None:
    found = outcomes(good_study(), PropertyClass.RESIDENTIAL_HOMOGENEOUS)
    assert found == dict.fromkeys(("median", "cod", "prd", "prb"), Outcome.MET)


@pytest.mark.parametrize(
    ("cod", "interval", "property_class", "expected"),
    [
        (12.0, (11.0, 13.0), PropertyClass.RESIDENTIAL_HOMOGENEOUS, Outcome.NOT_MET),
        (12.0, (9.0, 13.0), PropertyClass.RESIDENTIAL_HOMOGENEOUS, Outcome.INCONCLUSIVE),
        (12.0, (11.0, 13.0), PropertyClass.RESIDENTIAL_HETEROGENEOUS, Outcome.MET),
        (22.0, (21.0, 23.0), PropertyClass.OTHER_RESIDENTIAL, Outcome.NOT_MET),
        (22.0, (21.0, 23.0), PropertyClass.VACANT_LAND, Outcome.MET),
        (16.0, (15.5, 16.5), PropertyClass.INCOME_LARGE_MARKET, Outcome.NOT_MET),
        (16.0, (15.5, 16.5), PropertyClass.INCOME_SMALL_MARKET, Outcome.MET),
        (4.9, (4.0, 6.0), PropertyClass.VACANT_LAND, Outcome.SUSPECT),
        (12.0, None, PropertyClass.RESIDENTIAL_HOMOGENEOUS, Outcome.INCONCLUSIVE),
        (None, None, PropertyClass.RESIDENTIAL_HOMOGENEOUS, Outcome.NOT_COMPUTED),
    ],
)
def test_cod_by_property_class(
    cod: float | None,
    interval: tuple[float, float] | None,
    property_class: PropertyClass,
    expected: Outcome,
) -> None:
    study = replace(good_study(), cod=cod, cod_interval=interval)
    assert outcomes(study, property_class)["cod"] is expected


@pytest.mark.parametrize(
    ("prb", "interval", "expected"),
    [
        (0.05, (0.03, 0.07), Outcome.MET),
        (-0.08, (-0.09, -0.06), Outcome.NOT_MET),
        (-0.12, (-0.15, -0.09), Outcome.NOT_MET),
        (-0.12, (-0.20, -0.04), Outcome.INCONCLUSIVE),
        (-0.15, (-0.18, -0.11), Outcome.UNACCEPTABLE),
        (0.15, (0.11, 0.18), Outcome.UNACCEPTABLE),
    ],
)
def test_prb_ranges(prb: float, interval: tuple[float, float], expected: Outcome) -> None:
    study = replace(good_study(), prb=prb, prb_interval=interval)
    assert outcomes(study, PropertyClass.VACANT_LAND)["prb"] is expected


def test_prd_and_a_legal_level_below_full_value() -> None:
    study = replace(good_study(), prd=1.05, prd_interval=(1.04, 1.06), median=0.70, median_interval=(0.69, 0.71))
    assert outcomes(study, PropertyClass.VACANT_LAND)["prd"] is Outcome.NOT_MET
    assert outcomes(study, PropertyClass.VACANT_LAND)["median"] is Outcome.NOT_MET
    assert outcomes(study, PropertyClass.VACANT_LAND, level=0.70)["median"] is Outcome.MET


def test_nothing_is_trimmed_unless_asked() -> None:
    trim = trim_ratios([0.01, 1.0, 1.0, 1.0, 99.0])
    assert trim.keep.all()
    assert trim.trimmed_count == 0
    assert trim.to_json()["multiplier"] is None


def test_fences_stand_beyond_the_quartiles_at_a_quarter_and_three_quarters_of_n_plus_one() -> None:
    ratios = [0.2, 0.7, 0.8, 0.9, 1.0, 1.1, 1.8]  # n = 7: quartiles are the 2nd and the 6th ratio
    trim = trim_ratios(ratios, multiplier=OUTLIER)
    assert trim.low_fence == pytest.approx(0.7 - 1.5 * 0.4)
    assert trim.high_fence == pytest.approx(1.1 + 1.5 * 0.4)
    assert trim.keep.tolist() == [True] * 6 + [False]
    assert (trim.low_count, trim.high_count) == (0, 1)
    assert trim.trimmed_share == pytest.approx(1 / 7)
    assert json.loads(json.dumps(trim.to_json()))["high_count"] == 1


@given(st.lists(st.floats(min_value=0.01, max_value=100), min_size=4, max_size=200))
def test_extreme_outliers_are_among_the_outliers_and_the_middle_stays(ratios: list[float]) -> None:
    extreme = trim_ratios(ratios, multiplier=EXTREME_OUTLIER)
    outlier = trim_ratios(ratios, multiplier=OUTLIER)
    assert not (outlier.keep & ~extreme.keep).any()
    assert outlier.trimmed_count == len(ratios) - outlier.keep.sum()
    assert outlier.trimmed_count <= len(ratios) / 2 + 1


def test_trimming_refuses_bad_input() -> None:
    with pytest.raises(ValueNotPositiveError):
        trim_ratios([1.0, -1.0, 1.0, 1.0], multiplier=OUTLIER)
    with pytest.raises(ArgumentOutOfRangeError):
        trim_ratios([1.0] * 5, multiplier=0)
    with pytest.raises(TooFewSalesError):
        trim_ratios([1.0] * 3, multiplier=OUTLIER)


def test_the_worked_example_of_wac_458_53_160() -> None:
    found = indicated_ratio(
        [
            Stratum(name="$0 - 74,999", assessed_value_usd=21_500_000, ratio=0.773),
            Stratum(name="75,000 - 249,999", assessed_value_usd=23_000_000, ratio=0.528),
            Stratum(name="Over 250,000", assessed_value_usd=50_000_000, ratio=0.885),
        ]
    )
    assert round(100 * found.ratio, 1) == 73.9
    assert found.assessed_value_usd == 94_500_000
    market = [round(value) for value in found.market_value_by_stratum_usd.values()]
    assert market == [27_813_713, 43_560_606, 56_497_175]
    assert found.market_value_usd == pytest.approx(127_871_499, abs=6)  # the rule misprints its own sum


@given(st.lists(st.tuples(st.floats(1e3, 1e12), st.floats(0.1, 2)), min_size=1, max_size=30))
def test_a_county_ratio_lies_among_its_strata(drawn: list[tuple[float, float]]) -> None:
    strata = [Stratum(name=str(i), assessed_value_usd=av, ratio=r) for i, (av, r) in enumerate(drawn)]
    ratio = indicated_ratio(strata).ratio
    assert min(r for _, r in drawn) * (1 - 1e-9) <= ratio <= max(r for _, r in drawn) * (1 + 1e-9)


def test_indicated_ratio_refuses_what_it_cannot_divide() -> None:
    with pytest.raises(TooFewSalesError):
        indicated_ratio([])
    with pytest.raises(ValueNotPositiveError, match="ratio"):
        indicated_ratio([Stratum(name="a", assessed_value_usd=1, ratio=0)])
