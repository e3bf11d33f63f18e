"""On the synthetic county's price process the blend comes near to what the noise of sales allows."""

import pytest

from benchmarks.noise_floor import measure
from services.ingest.synthetic.prices import MONTHLY_TREND_PERCENT, PRICE_NOISE_SD
from tests.support.planted_county import planted_county


@pytest.mark.slow
def test_three_thousand_sales_bring_the_blend_near_the_noise_floor() -> None:
    found = measure(planted_county(parcels=12_000), ["blend"])
    assert found["sales"] > 2_900
    assert found["floor_mdape"] == pytest.approx(100 * 0.6745 * PRICE_NOISE_SD, rel=0.05)  # the noise's own quartile
    blend = found["models"]["blend"]
    assert 0 < blend["above_floor_percent"] <= 15  # below the floor it would have seen a price
    assert blend["mdape_of_true_value"] <= 100 * 0.6745 * PRICE_NOISE_SD / 2
    assert blend["interval_coverage"] == pytest.approx(90, abs=3)  # three standard errors of 900 sales of folds
    assert found["monthly_trend_percent"] == pytest.approx(MONTHLY_TREND_PERCENT, abs=0.1)
    assert found["neighborhood_correlation"][0] > 0.95
