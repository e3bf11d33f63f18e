"""The words that the contracts and the mathematics have in common."""

from typing import get_args

import polars as pl

from appraisal.sale_findings import REASONS
from appraisal.sale_qualification import SaleDecision
from contracts.api.reporting import RatioStudyArguments
from contracts.api.sales_review import FindingReason, SaleVerdict
from services.reporting.domain.sales import REASONS as REPORT_REASONS
from services.reporting.domain.sales import screen
from tests.support.reports import sale, sales_frame


def test_contracts_and_mathematics_have_the_same_words() -> None:
    assert get_args(FindingReason) == REASONS
    assert get_args(SaleVerdict) == get_args(SaleDecision)


def test_a_ratio_study_has_words_for_every_reason() -> None:
    assert {*REASONS, "invalid_by_review"} <= REPORT_REASONS.keys()


def test_a_ratio_study_counts_sales_as_decided() -> None:
    rows = [
        sale(1),
        sale(2, decision="invalid"),
        sale(3, is_qualified=False),
        sale(4, is_qualified=False, decision="valid"),
        sale(5, statistics_reason="repeated_entry"),
        sale(6, statistics_reason="repeated_entry", decision="valid"),
        sale(7, parcel_count=2, decision="valid"),
        sale(8, is_qualified=None, decision="valid"),
    ]
    screened = screen(sales_frame(rows), RatioStudyArguments())
    left_out = dict(screened.left_out.select("sale_id", "reason").sort("sale_id").iter_rows())
    assert list(left_out.values()) == ["invalid_by_review", "not_qualified", "repeated_entry", "several_parcels"]
    assert screened.used.height == 4
    everything = screen(sales_frame(rows), RatioStudyArguments(qualified_only=False))
    assert everything.left_out["reason"].to_list() == ["several_parcels"]
    assert everything.used.filter(pl.col("decision") == "invalid").height == 1
