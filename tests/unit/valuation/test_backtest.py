"""The chronological protocol, by its domain and by its command."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from clients.sdk.cli import app
from services.valuation.domain.backtest import backtest
from services.valuation.domain.figures import Cost, judge
from services.valuation.domain.models import MODELS
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales
from tests.support.planted_market import planted_sales

SPLIT = date(2024, 8, 1)
FIGURES = {
    *("mdape", "mape", "within10", "within20", "median_ratio", "cod", "prd", "prb", "mki", "vei", "r2"),
    *("train_seconds", "predict_rows_per_second", "peak_memory_mb"),
}
FIELDS = """
sale_price: sale_price_usd
sale_date: sale_date
parcel_id: parcel_id
latitude: latitude
longitude: longitude
living_area_sqft: living_area_sqft
land_area_sqft: land_area_sqft
year_built: year_built
neighborhood: neighborhood
ignore: [land_value_usd, improvement_value_usd, total_value_usd, sale_id, is_qualified, parcel_count]
"""
FREE = Cost(train_seconds=0, predict_rows_per_second=0, peak_memory_mb=0)


def run(folder: Path, frame: pl.DataFrame, fields: str = FIELDS, split: str = SPLIT.isoformat()) -> tuple[int, str]:
    (folder / "sales.csv").write_text(frame.write_csv(), encoding="utf-8")
    (folder / "fields.yaml").write_text(fields, encoding="utf-8")
    asked = ["valuation", "backtest", str(folder / "sales.csv"), "--fields", str(folder / "fields.yaml")]
    done = CliRunner().invoke(app, [*asked, "--split-date", split, "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.slow
def test_the_command_prints_every_model_and_baseline_with_every_figure(tmp_path: Path) -> None:
    code, output = run(tmp_path, planted_sales(count=400))
    assert code == 0, output
    told = json.loads(output)
    assert told["split_date"] == "2024-08-01"
    assert told["train"] + told["test"] == 400
    baselines = {"linear", "boosting_default", "nearest_comparables"}
    assert set(told["models"]) == {*MODELS, "blend_uncalibrated", *baselines}
    assert all(set(figures) >= FIGURES for figures in told["models"].values())
    assert told["models"]["blend"]["cod"] < told["models"]["nearest_comparables"]["cod"]
    assert 75 < told["models"]["blend"]["interval_coverage"] <= 100
    assert told["features"]["building_class"] == "number"
    assert told["features"]["use_code"] == "unused"


@pytest.mark.slow
def test_bad_cells_and_unseen_categories_do_not_stop_it(tmp_path: Path) -> None:
    frame = planted_sales(count=300).with_columns(pl.all().cast(pl.String))
    row = pl.int_range(pl.len())
    spoilt = frame.with_columns(
        longitude=pl.lit(None, pl.String),
        latitude=pl.lit(None, pl.String),
        land_area_sqft=pl.when(row % 7 == 0).then(pl.lit("-3")).otherwise("land_area_sqft"),
        living_area_sqft=pl.when(row % 9 == 0).then(pl.lit("inf")).otherwise("living_area_sqft"),
        year_built=pl.when(row % 11 == 0).then(pl.lit("2999")).otherwise("year_built"),
        neighborhood=pl.when(row > 250).then(pl.lit("never seen")).otherwise(pl.lit("N1")),
        parcel_id=pl.when(row % 5 == 0).then(pl.lit("same")).otherwise("parcel_id"),
        sale_price_usd=pl.when(row == 3).then(pl.lit("1")).otherwise("sale_price_usd"),
    )
    code, output = run(tmp_path, spoilt)
    assert code == 0, output
    told = json.loads(output)
    assert told["left_out"] == {"nominal_price": 1}
    assert told["train"] + told["test"] == 299
    assert all(figures["mdape"] < 60 for name, figures in told["models"].items() if name in MODELS)
    assert any("no coordinates" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("count", "split", "fields", "code"),
    [
        (5, "2024-01-01", FIELDS, "too_few_sales"),
        (60, "2023-01-05", FIELDS, "too_few_sales"),
        (60, "2031-01-01", FIELDS, "no_test_sales"),
        (60, "soon", FIELDS, "date_unreadable"),
        (60, "0001-01-01", FIELDS, "date_unreadable"),
        (60, "2024-01-01", FIELDS + "sale_id: [a, b]", "fields_unreadable"),
        (60, "2024-01-01", "- a list", "fields_unreadable"),
        (60, "2024-01-01", "sale_price: sale_price_usd", "field_missing"),
        (60, "2024-01-01", FIELDS.replace("latitude: latitude", "latitude: lat"), "column_missing"),
        (0, "2024-01-01", FIELDS, "no_sales"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_code(
    tmp_path: Path, count: int, split: str, fields: str, code: str
) -> None:
    exit_code, output = run(tmp_path, planted_sales(count=60).head(count), fields, split)
    assert exit_code == 2
    assert f"({code})" in output
    assert "Traceback" not in output


def test_a_column_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    table = planted_sales(count=60).with_columns(price=pl.col("sale_price_usd"))
    (tmp_path / "fields.yaml").write_text(FIELDS, encoding="utf-8")
    text = table.write_csv().replace(",price\n", ",sale_price_usd\n", 1)
    (tmp_path / "sales.csv").write_text(text, encoding="utf-8")
    asked = ["valuation", "backtest", str(tmp_path / "sales.csv"), "--fields", str(tmp_path / "fields.yaml")]
    done = CliRunner().invoke(app, [*asked, "--split-date", "2024-01-01"])
    assert done.exit_code == 2
    assert "(column_repeated)" in done.output


def test_sales_of_which_nothing_is_known_are_valued_at_their_level(tmp_path: Path) -> None:
    told = planted_sales(count=120).select("sale_date", "sale_price_usd", constant=pl.lit(7))
    code, output = run(tmp_path, told, "sale_price: sale_price_usd\nsale_date: sale_date\n")
    assert code == 0, output
    assert json.loads(output)["models"]["blend"]["median_ratio"] == pytest.approx(1, abs=0.3)


def test_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fields.yaml").write_text(FIELDS, encoding="utf-8")
    asked = ["valuation", "backtest", str(tmp_path / "none.csv"), "--fields", str(tmp_path / "fields.yaml")]
    done = CliRunner().invoke(app, [*asked, "--split-date", "2024-01-01"])
    assert done.exit_code == 2
    assert "(file_missing)" in done.output


def test_too_few_training_sales_are_refused_with_counts(sold: Sales) -> None:
    with pytest.raises(ValuationRefusedError) as refusal:
        backtest(sold.take(np.arange(40)), sold.sale_date[20].astype(date))
    assert refusal.value.code == "too_few_sales"
    assert refusal.value.details["sales"] == 20


def test_figures_are_percent_where_they_are_said_to_be() -> None:
    price = np.array([100_000.0, 200_000.0, 300_000.0, 400_000.0])
    figures = judge(price * np.array([1.05, 0.95, 1.15, 0.70]), price, FREE, (price * 0.9, price * 1.1))
    assert figures.mdape == pytest.approx(10)
    assert figures.mape == pytest.approx(13.75)
    assert (figures.within10, figures.within20) == (50, 75)
    assert figures.median_ratio == pytest.approx(1.0)
    assert figures.cod == pytest.approx(13.75)
    assert figures.interval_coverage == 100
    assert figures.vei is None  # four sales make no value groups
