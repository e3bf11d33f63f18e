from datetime import date

import polars as pl
import pytest

from services.valuation.domain.evidence import Groundwork, learn_groundwork, learnable_sales
from services.valuation.domain.properties import UseCodes
from services.valuation.domain.sales import Sales, TrainingSales, to_sales
from tests.support.planted_market import planted_sales

VALUED_AT = date(2025, 1, 1)


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    return planted_sales()


@pytest.fixture(scope="session")
def sold(frame: pl.DataFrame) -> Sales:
    return to_sales(frame, UseCodes())


@pytest.fixture(scope="session")
def training(sold: Sales) -> TrainingSales:
    return learnable_sales(sold, VALUED_AT)[0]


@pytest.fixture(scope="session")
def groundwork(training: TrainingSales) -> Groundwork:
    return learn_groundwork(training)
