"""Published figures: assesspy, the IAAO's printed tables, Quintos, MPAC's VEI, Lebanon's assessor."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from appraisal.ratio_study import RatioStudy, ratio_study, study_by_group
from tests.support.shared_data import shared_data


def study_of(file: str) -> RatioStudy:
    sales = pl.read_csv(shared_data(f"ratio_study/{file}.csv"))
    return ratio_study(sales["estimate"], sales["sale_price"])


def test_ccao_sample_agrees_with_assesspy() -> None:
    study = study_of("ccao_sample")
    assert study.n == 979
    assert study.median == pytest.approx(0.98294545, abs=5e-9)
    assert study.mean == pytest.approx(1.00050782, abs=5e-9)
    assert study.weighted_mean == pytest.approx(0.95430126, abs=5e-9)
    assert study.cod == pytest.approx(17.814569011968914, rel=1e-12)
    assert study.prd == pytest.approx(1.0484192615223522, rel=1e-12)
    assert study.prb == pytest.approx(0.002475787427836253, abs=1e-12)
    assert study.mki == pytest.approx(0.9114570241057016, rel=1e-12)
    assert study.vei == pytest.approx(-2.98793, abs=5e-6)


def test_ccao_sample_intervals_agree_with_assesspy() -> None:
    study = study_of("ccao_sample")
    assert study.prb_interval == pytest.approx((-0.0140437856, 0.0189953605), abs=5e-11)
    assert study.cod_interval == pytest.approx((16.496, 19.196), rel=0.015)
    assert study.prd_interval == pytest.approx((1.0344, 1.0626), rel=0.003)


@pytest.mark.parametrize(
    ("file", "n", "printed"),
    [
        ("iaao_table_1_1", 36, {"median": ".8639", "cod": "29.818", "prd": ".9833", "prb": ".23226"}),
        ("iaao_table_1_4", 17, {"median": ".82", "cod": "14.524", "prd": ".9766", "prb": ".13549"}),
        ("iaao_table_d_1", 25, {"median": ".9098", "cod": "7.507", "prd": "1.0269", "prb": "-.11984"}),
        ("iaao_table_d_2", 16, {"median": "1.0", "cod": "7.8125", "prd": "1.0558", "prb": "-.01085"}),
    ],
)
def test_iaao_tables(file: str, n: int, printed: dict[str, str]) -> None:
    study = study_of(file)
    assert study.n == n
    for statistic, digits in printed.items():
        places = len(digits.partition(".")[2])
        assert round(getattr(study, statistic), places) == float(digits), statistic


def test_quintos_sample() -> None:
    study = study_of("quintos_sample")
    assert study.n == 30
    assert study.cod == pytest.approx(9.13459, abs=5e-6)
    assert study.prd == pytest.approx(1.06122, abs=5e-6)
    assert study.prb == pytest.approx(-0.15177, abs=5e-6)
    assert study.mki == pytest.approx(0.79359846, abs=5e-9)
    assert study.vei == pytest.approx(-19.50703, abs=5e-6)


def test_iaao_table_1_1_median_interval_has_the_ranks_of_the_standard() -> None:
    sales = pl.read_csv(shared_data("ratio_study/iaao_table_1_1.csv"))
    ordered = np.sort((sales["estimate"] / sales["sale_price"]).to_numpy())
    study = ratio_study(sales["estimate"], sales["sale_price"])
    assert study.median_interval == (ordered[11], ordered[24])  # 1.96 sqrt(36) / 2 + 0.5, rounded up: 7 out


def test_lebanon_single_family_sales_since_2024() -> None:
    properties = pl.read_csv(shared_data("lebanon_nh/properties.csv"), infer_schema_length=None)
    sales = pl.read_csv(shared_data("lebanon_nh/sales.csv"), try_parse_dates=True)
    studied = sales.filter(
        pl.col("qualified") == "Q",
        pl.col("sale_date") >= date(2024, 1, 1),
        pl.col("sale_price") > 20_000,
    ).join(properties.filter(pl.col("use_code").cast(pl.String) == "1010"), on="parcel_id")
    study = ratio_study(studied["assessed_total"], studied["sale_price"])
    assert study.n == 165
    assert study.median == pytest.approx(0.716, abs=5e-4)
    assert study.cod == pytest.approx(9.73, abs=5e-3)
    assert study.prd == pytest.approx(1.001, abs=5e-4)
    assert study.prb == pytest.approx(0.030, abs=5e-4)
    assert study.mki == pytest.approx(0.991, abs=5e-4)


def test_a_group_studied_alone_and_among_others_is_the_same() -> None:
    sales = pl.read_csv(shared_data("ratio_study/ccao_sample.csv"))
    groups = study_by_group(sales["estimate"], sales["sale_price"], sales["township_name"])
    assert list(groups) == ["Evanston", "New Trier"]
    alone = sales.filter(pl.col("township_name") == "Evanston")
    assert groups["Evanston"] == ratio_study(alone["estimate"], alone["sale_price"])
    assert sum(study.n for study in groups.values()) == 979
