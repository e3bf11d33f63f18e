import json
from datetime import date

import polars as pl
import pytest

from appraisal.ratio_study import ratio_study
from contracts.api.reporting import RatioStudyArguments
from services.reporting.domain.document import Document, Table, definition_hash, detail_table, tables_of, to_json
from services.reporting.domain.ratio_report import ratio_study_document
from services.reporting.domain.refusals import ReportRefusedError
from services.reporting.domain.sales import SALE_COLUMNS
from tests.support.reports import context_of, random_sales, sale, sales_frame
from tests.support.shared_data import shared_data


def study_of(sales: pl.DataFrame, **arguments: object) -> Document:
    return ratio_study_document(sales, RatioStudyArguments.model_validate(arguments), context_of())


def table(document: Document, key: str) -> Table:
    return next(table for table in tables_of(document) if table.key == key)


def test_the_figures_are_those_of_the_appraisal_mathematics() -> None:
    sales = random_sales(80)
    expected = ratio_study(sales["estimate_usd"], sales["sale_price_usd"], confidence=0.9)
    document = study_of(sales, confidence_level=0.9)
    assert document.summary["n"] == 80
    assert document.summary["median_ratio"] == expected.median
    assert document.summary["cod"] == expected.cod
    figures = {figure.key: figure for figure in document.sections[0].figures}
    assert (figures["prb"].low, figures["prb"].high) == expected.prb_interval


def test_the_document_is_json_and_equal_questions_give_equal_documents() -> None:
    sales = random_sales(50)
    first, second = (json.dumps(to_json(study_of(frame)), allow_nan=False) for frame in (sales, sales.reverse()))
    assert first == second


def test_the_screening_accounts_for_every_sale() -> None:
    rows = [sale(1), sale(2), sale(3, is_qualified=False), sale(4, sale_price_usd=None), sale(5, parcel_count=3)]
    document = study_of(sales_frame(rows))
    screening = table(document, "screening")
    assert screening.rows[0][1] == 5
    assert sum(row[1] for row in screening.rows if isinstance(row[1], int)) == 2
    assert screening.total == ("Studied", 2)
    assert len(table(document, "left_out").rows) == 3
    assert len(detail_table(document).rows) == 2


def test_groups_add_up_and_small_ones_are_counted_but_not_computed() -> None:
    sales = pl.concat([random_sales(60), sales_frame([sale(100, neighborhood=None), sale(101, neighborhood="Z")])])
    document = study_of(sales)
    for key in ("neighborhood", "use_code", "value_decile", "sale_year", "building_age"):
        assert sum(int(row[1] or 0) for row in table(document, f"by_{key}").rows) == 62
    names = [row[0] for row in table(document, "by_neighborhood").rows]
    assert names == ["N0", "N1", "N2", "N3", "Z", "(not recorded)"]
    assert table(document, "by_neighborhood").rows[-1][2:] == (None,) * 8
    assert "2 groups of fewer than 5 sales" in table(document, "by_neighborhood").note


def test_only_the_groups_asked_for_are_made_in_that_order() -> None:
    document = study_of(random_sales(40), group_by=["sale_year", "neighborhood", "sale_year"])
    keys = [table.key for table in tables_of(document) if table.key.startswith("by_")]
    assert keys == ["by_sale_year", "by_neighborhood"]


def test_trimming_shows_both_samples() -> None:
    sales = pl.concat([random_sales(60), sales_frame([sale(900, estimate_usd=4_000_000.0)])])
    trimming = table(study_of(sales, trim_outliers=True), "trimming")
    assert [row[1] for row in trimming.rows] == [61, 60]
    assert "1.6%" in trimming.note


@pytest.mark.parametrize("usable", [0, 1])
def test_too_few_sales_are_refused_with_the_reasons(usable: int) -> None:
    rows = [sale(number) for number in range(usable)] + [sale(50, is_qualified=False)]
    with pytest.raises(ReportRefusedError) as refusal:
        study_of(sales_frame(rows))
    assert refusal.value.code == "too_few_sales"
    assert refusal.value.details == {"used": usable, "left_out": {"not_qualified": 1}}


def test_two_sales_make_a_study_that_judges_nothing() -> None:
    document = study_of(sales_frame([sale(1), sale(2, estimate_usd=300_000.0)]))
    codes = {figure.finding.code for figure in document.sections[0].figures if figure.finding}
    assert codes == {"too_few"}


def test_washington_learns_that_this_is_not_the_departments_ratio() -> None:
    sales = random_sales(30)
    arguments = RatioStudyArguments()
    notes = {
        state: {
            note.key
            for section in ratio_study_document(sales, arguments, context_of(state=state)).sections
            for note in section.notes
        }
        for state in ("WA", "NH")
    }
    assert notes["WA"] - notes["NH"] == {"department_of_revenue"}


def test_values_of_a_model_carry_their_warning() -> None:
    document = study_of(random_sales(30), value_source="valuation")
    notes = {note.key for section in document.sections for note in section.notes}
    assert "model_values" in notes


def test_the_definition_hash_ignores_the_order_of_keys() -> None:
    assert definition_hash("a", {"x": 1, "y": [2]}) == definition_hash("a", {"y": [2], "x": 1})
    assert definition_hash("a", {"x": 1}) != definition_hash("b", {"x": 1})


def test_lebanon_single_family_sales_since_2024() -> None:
    document = study_of(lebanon_sales(), from_date="2024-01-01", use_codes=["1010"], minimum_price_usd=20_000)
    found = document.summary
    assert found["n"] == 165
    rounded = {key: round(float(found[key] or 0), 3) for key in ("median_ratio", "cod", "prd", "prb", "mki")}
    assert rounded == {"median_ratio": 0.716, "cod": 9.733, "prd": 1.001, "prb": 0.030, "mki": 0.991}


def lebanon_sales() -> pl.DataFrame:
    """The window of the data's README: single-family homes sold since 2024."""
    folder = shared_data("lebanon_nh")
    keys = {"parcel_id": pl.String, "use_code": pl.String, "neighborhood": pl.String}
    homes = pl.read_csv(folder / "properties.csv", infer_schema_length=None, schema_overrides=keys)
    sales = pl.read_csv(folder / "sales.csv", schema_overrides={"parcel_id": pl.String})
    joined = sales.join(homes.filter(pl.col("use_code") == "1010"), on="parcel_id").select(
        sale_id=pl.format("{}/{}", "parcel_id", "seq"),
        parcel_id="parcel_id",
        parcel_number="parcel_id",
        situs_address="situs_address",
        use_code="use_code",
        neighborhood="neighborhood",
        year_built=pl.col("year_built").cast(pl.Int64),
        sale_date=pl.col("sale_date").str.to_date(strict=False),
        sale_price_usd=pl.col("sale_price").cast(pl.Float64),
        adjusted_price_usd=pl.lit(None, dtype=pl.Float64),
        is_qualified=pl.col("qualified") == "Q",
        validity_code="qualified",
        parcel_count=pl.lit(1, dtype=pl.Int64),
        decision=pl.lit(None, dtype=pl.String),
        statistics_reason=pl.lit(None, dtype=pl.String),
        estimate_usd="assessed_total",
    )
    return joined.select(list(SALE_COLUMNS)).filter(pl.col("sale_date") >= date(2024, 1, 1))
