import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.reporting import AbstractOfValuesArguments
from services.reporting.domain.abstract_report import abstract_document
from services.reporting.domain.document import Document, Table, detail_table, tables_of, to_json
from services.reporting.domain.refusals import ReportRefusedError
from tests.support.reports import context_of, parcels_frame

cents = st.integers(0, 10**13).map(lambda amount: Decimal(amount) / 100)


def parcel(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "parcel_id": f"P{number}",
        "use_code": "11",
        "property_type": "R",
        "neighborhood": "N1",
        "situs_city": "KENNEWICK",
        "tax_year": 2025,
        "supplement": 0,
        "land_value_usd": Decimal("100000.00"),
        "improvement_value_usd": Decimal("250000.00"),
        "total_value_usd": Decimal("350000.00"),
        "market_value_usd": Decimal("350000.00"),
        "taxable_value_usd": Decimal("300000.00"),
        "prior_total_value_usd": Decimal("320000.00"),
        **changes,
    }


def abstract_of(rows: list[dict[str, Any]], **arguments: Any) -> Document:
    return abstract_document(parcels_frame(rows), AbstractOfValuesArguments(**arguments), context_of())


def row(table: Table, group: str) -> dict[str, Any]:
    return dict(
        zip((column.key for column in table.columns), next(r for r in table.rows if r[0] == group), strict=True)
    )


def test_values_add_up_by_group_with_exempt_as_the_difference() -> None:
    document = abstract_of([parcel(1), parcel(2), parcel(3, use_code="91", taxable_value_usd=Decimal(0))])
    homes = row(detail_table(document), "11")
    assert (homes["parcels"], homes["total_value_usd"], homes["exempt_value_usd"]) == (2, 700_000.0, 100_000.0)
    assert row(detail_table(document), "91")["exempt_value_usd"] == 350_000.0
    assert document.summary["exempt_value_usd"] == 450_000.0


def test_what_is_not_recorded_is_absent_and_not_zero() -> None:
    document = abstract_of([parcel(1, market_value_usd=None, taxable_value_usd=None), parcel(2, use_code=None)])
    first = row(detail_table(document), "11")
    assert first["market_value_usd"] is None
    assert first["exempt_value_usd"] is None
    assert row(detail_table(document), "(not recorded)")["parcels"] == 1
    notes = {note.key: note.text for section in document.sections for note in section.notes}
    assert "market: 1" in notes["missing"]


def test_the_change_counts_parcels_that_have_both_years() -> None:
    rows = [parcel(1), parcel(2, prior_total_value_usd=None), parcel(3, prior_total_value_usd=Decimal("350000.00"))]
    change = next(table for table in tables_of(abstract_of(rows)) if table.key == "change")
    found = row(change, "11")
    assert (found["parcels"], found["changed"], found["change_usd"]) == (2, 1, 30_000.0)
    assert found["change_percent"] == pytest.approx(100 * 30_000 / 670_000)
    assert "1 of 3 parcels" in change.note


def test_an_empty_scope_is_refused() -> None:
    with pytest.raises(ReportRefusedError) as refusal:
        abstract_of([])
    assert refusal.value.code == "no_parcels"


@given(st.lists(st.tuples(cents, st.sampled_from(["11", "12", "91", None])), min_size=1, max_size=60))
def test_groups_add_up_to_the_total_to_the_cent(values: list[tuple[Decimal, str | None]]) -> None:
    rows = [parcel(number, total_value_usd=value, use_code=code) for number, (value, code) in enumerate(values)]
    document = abstract_of(rows)
    expected = float(sum(value for value, _ in values))
    assert document.summary["total_value_usd"] == expected
    table = detail_table(document)
    assert sum(int(found[1] or 0) for found in table.rows) == len(values)
    assert sum(Decimal(str(found[4])).quantize(Decimal("0.01")) for found in table.rows) == pytest.approx(
        Decimal(str(expected)).quantize(Decimal("0.01"))
    )
    json.dumps(to_json(document), allow_nan=False)
