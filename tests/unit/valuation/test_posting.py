"""The value file: what it says adds up, fits its layout, and names what it leaves out."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.value_file import ValueFileLayout
from services.valuation.domain.overrides import Value, effective
from services.valuation.domain.posting import RollLine, Stamps, rounded, write_value_file
from services.valuation.domain.refusal import ValuationRefusedError

STAMPS = Stamps(UUID("01890000-0000-7000-8000-000000000000"), 2026, date(2026, 1, 1))
money = st.integers(0, 10**12).map(lambda cents: Decimal(cents) / 100)
FIXED = {
    "format": "fixed",
    "columns": [
        {"name": "prop_id", "value": "parcel_id", "width": 12, "align": "right", "pad": "0"},
        {"name": "market", "value": "value_usd", "width": 15, "align": "right", "pad": "0"},
        {"name": "source", "value": "constant", "text": "TF", "width": 4},
        {"name": "as_of", "value": "valuation_date", "width": 10},
    ],
    "date_format": "%m/%d/%Y",
}


@st.composite
def values(draw: st.DrawFn) -> Value:
    total = draw(money)
    share = Decimal(draw(st.integers(0, 10_000))) / 10_000
    return Value(total, (total * share).quantize(Decimal("0.01")))


def line(parcel_id: str, value: Value | None, **more: Any) -> RollLine:
    return RollLine(parcel_id, more.get("parcel_number"), more.get("supplement", 0), value)


@given(st.lists(values(), min_size=1, max_size=20), st.sampled_from([1, 5, 100]))
def test_lines_add_up_to_the_totals_and_parts_to_their_values(found: list[Value], unit: int) -> None:
    layout = ValueFileLayout(round_to_usd=unit)
    made = write_value_file(layout, (line(f"p{n}", value) for n, value in enumerate(found)), STAMPS)
    rows = list(csv.DictReader(io.StringIO(made.content.decode(), newline="")))
    assert len(rows) == len(found) == len(made.posted)
    for name in ("value_usd", "land_value_usd", "improvement_value_usd"):
        assert sum(int(row[name]) for row in rows) == made.totals[name]
    for row, value in zip(rows, found, strict=True):
        parts = [int(row[name]) for name in ("land_value_usd", "improvement_value_usd")]
        assert sum(parts) == int(row["value_usd"])
        assert min(parts) >= 0
        assert abs(int(row["value_usd"]) - value.value_usd) <= Decimal(unit) / 2
        assert int(row["value_usd"]) % unit == 0


@pytest.mark.parametrize(
    ("value", "unit", "found"), [("0.5", 1, 1), ("1.49", 1, 1), ("2.5", 1, 3), ("149.99", 100, 100), ("150", 100, 200)]
)
def test_halves_are_rounded_up(value: str, unit: int, found: int) -> None:
    assert rounded(Decimal(value), unit) == found


def test_a_fixed_layout_has_its_widths() -> None:
    made = write_value_file(ValueFileLayout.model_validate(FIXED), [line("14471", Value(Decimal("412000.4")))], STAMPS)
    assert made.content == b"000000014471000000000412000TF  01/01/2026\r\n"
    assert made.totals == {"value_usd": 412_000, "land_value_usd": None, "improvement_value_usd": None}


def test_what_does_not_fit_refuses_the_file() -> None:
    with pytest.raises(ValuationRefusedError) as refused:
        write_value_file(ValueFileLayout.model_validate(FIXED), [line("1234567890123", Value(Decimal(1)))], STAMPS)
    assert (refused.value.code, refused.value.details["needed"]) == ("value_file_overflow", 13)
    layout = ValueFileLayout.model_validate({**FIXED, "encoding": "ascii"})
    with pytest.raises(ValuationRefusedError) as refused:
        write_value_file(layout, [line("1", Value(Decimal(1))), line("ñ", Value(Decimal(1)))], STAMPS)
    assert (refused.value.code, refused.value.details) == ("value_file_character", {"line": 2})


def test_what_lacks_something_is_left_out_with_the_reason() -> None:
    whole = Value(Decimal(100), Decimal(40))
    gone = RollLine("4", None, None, whole, is_active=False)
    roll = [line("1", whole), line("2", None), line("3", Value(Decimal(5))), gone]
    made = write_value_file(ValueFileLayout(), roll, STAMPS)
    assert [said.parcel_id for said in made.posted] == ["1"]
    assert made.left_out == {"2": "value_missing", "3": "land_value_missing", "4": "inactive"}
    columns = [{"name": name, "value": name} for name in ("parcel_number", "supplement", "value_usd")]
    layout = ValueFileLayout.model_validate({"columns": columns})
    roll = [line("1", whole), line("2", whole, parcel_number="N", supplement=None)]
    with pytest.raises(ValuationRefusedError) as refused:
        write_value_file(layout, roll, STAMPS)
    assert refused.value.code == "nothing_to_post"
    assert refused.value.details["left_out"] == {"1": "parcel_number_missing", "2": "supplement_missing"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": []},
        {"columns": [{"name": "a", "value": "value_usd"}]},
        {"columns": [{"name": "a", "value": "parcel_id"}]},
        {"columns": [{"name": "a", "value": "parcel_id"}, {"name": "a", "value": "value_usd"}]},
        {"format": "fixed"},
        {"columns": [{"name": "a", "value": "parcel_id", "width": 3}, {"name": "b", "value": "value_usd"}]},
        {"columns": [{"name": "a", "value": "parcel_id"}, {"name": "b", "value": "owner_name"}]},
    ],
)
def test_a_layout_that_cannot_be_read_back_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ValueFileLayout.model_validate(wrong)


@given(values(), values())
def test_a_persons_value_counts_and_keeps_the_models_share_of_land(model: Value, person: Value) -> None:
    assert effective(model, None) == model
    assert effective(model, person) == person
    assert effective(None, person) == person
    counted = effective(model, Value(person.value_usd))
    assert counted is not None
    assert counted.value_usd == person.value_usd
    if model.value_usd and model.land_value_usd is not None:
        assert counted.land_value_usd is not None
        assert abs(counted.land_value_usd * model.value_usd - model.land_value_usd * person.value_usd) <= (
            model.value_usd * Decimal("0.005") + Decimal("0.01")
        )
    assert effective(None, None) is None
