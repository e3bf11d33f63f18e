"""A ratio study says of its values whether they look chased."""

from datetime import date, timedelta

import numpy as np
import polars as pl

from contracts.api.reporting import RatioStudyArguments
from services.reporting.domain.chasing import CHANGE_COLUMNS, ChasingEvidence
from services.reporting.domain.document import Cell, Document
from services.reporting.domain.ratio_report import ratio_study_document
from tests.support.reports import context_of, sale, sales_frame

ROLL_DATE = date(2024, 7, 1)
SALES = 600


def study(*, chased: float) -> Document:
    """A share of the sales before the roll date has values at their prices, and values that changed otherwise."""
    random = np.random.default_rng(11)
    rows, changes = [], []
    for number in range(SALES):
        sold = date(2024, 1, 1) + timedelta(days=number % 366)
        moved = sold <= ROLL_DATE and random.random() < chased
        ratio = random.normal(1, 0.003) if moved else random.normal(0.97, 0.12)
        rows.append(sale(number, sale_date=sold, estimate_usd=400_000 * ratio))
        changes.append((rows[-1]["parcel_id"], "N1", random.normal(1.12 if moved else 1.03, 0.04)))
    changes += [(f"unsold-{number}", "N1", random.normal(1.03, 0.04)) for number in range(2_000)]
    frame = pl.DataFrame(changes, schema=CHANGE_COLUMNS, orient="row")
    evidence = ChasingEvidence(level=1.0, roll_date=ROLL_DATE, changes=frame)
    return ratio_study_document(sales_frame(rows), RatioStudyArguments(), context_of(), evidence=evidence)


def findings(document: Document) -> list[Cell]:
    [section] = [section for section in document.sections if section.key == "chasing"]
    return [row[1] for row in section.tables[0].rows]


def test_honest_values_are_not_suspected() -> None:
    document = study(chased=0)
    assert findings(document) == ["Not suspicious"] * 4
    assert document.summary["chasing_tests_suspicious"] == 0


def test_chased_values_are_suspected_by_every_test() -> None:
    document = study(chased=0.7)
    assert findings(document) == ["Suspicious"] * 4
    assert document.summary["chasing_tests_suspicious"] == 4


def test_what_is_not_known_is_said() -> None:
    rows = [sale(number, estimate_usd=350_000.0 + number) for number in range(20)]
    document = ratio_study_document(sales_frame(rows), RatioStudyArguments(), context_of())
    assert findings(document) == ["Not made"] * 4
