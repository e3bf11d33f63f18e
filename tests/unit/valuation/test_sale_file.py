"""Any file of sales: types found out, bad rows left out with their reason, bad files refused with a code."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.valuation.domain.column_types import to_date, to_number
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sale_file import read_sales

FIELDS = {"sale_price": "price", "sale_date": "sold", "parcel_id": "pin", "living_area_sqft": "sqft"}


def table(rows: int = 40, **columns: list[str | None]) -> pl.DataFrame:
    plain: dict[str, list[str | None]] = {
        "price": [str(200_000 + 1_000 * n) for n in range(rows)],
        "sold": [f"2024-01-{1 + n % 28:02d}" for n in range(rows)],
        "pin": [f"p{n}" for n in range(rows)],
        "sqft": [str(1_500 + 10 * n) for n in range(rows)],
    }
    return pl.DataFrame({**plain, **columns}, schema_overrides=dict.fromkeys([*plain, *columns], pl.String))


def changed(column: str, first: str | None) -> pl.DataFrame:
    values = table()[column].to_list()
    return table(**{column: [first, *values[1:]]})


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("price", "1", "nominal_price"),
        ("price", "-5", "no_price"),
        ("price", "inf", "no_price"),
        ("price", "a lot", "no_price"),
        ("price", None, "no_price"),
        ("sold", "someday", "no_date"),
        ("sold", None, "no_date"),
    ],
)
def test_a_row_that_is_no_sale_is_left_out_with_its_reason(column: str, value: str | None, reason: str) -> None:
    read = read_sales(changed(column, value), FIELDS)
    assert read.left_out == {reason: 1}
    assert len(read.sales) == 39


@pytest.mark.parametrize("area", ["-1200", "0", "inf", "nan", "", "large"])
def test_an_area_that_no_house_has_is_not_known(area: str) -> None:
    read = read_sales(changed("sqft", area), FIELDS)
    assert len(read.sales) == 40
    assert np.isnan(read.sales.properties.living_area_sqft).sum() == 1


def test_a_row_given_twice_counts_once_and_a_resale_twice() -> None:
    twice = pl.concat([table(), table().head(1), table().head(1).with_columns(price=pl.lit("300000"))])
    read = read_sales(twice, FIELDS)
    assert read.left_out == {"given_twice": 1}
    assert len(read.sales) == 41
    assert any("sold before" in note for note in read.notes)


def test_types_of_other_columns_are_found_out() -> None:
    rows = 40
    read = read_sales(
        table(
            rows,
            view=[str(n % 5) for n in range(rows)],
            tax=[f"${n},000" for n in range(rows)],
            listed=[f"2023-12-{1 + n % 28:02d}" for n in range(rows)],
            roof=["tile" if n % 2 else "slate" for n in range(rows)],
            remarks=[f"unlike any other {n}" for n in range(rows)],
            county=["Benton"] * rows,
            nothing=[None] * rows,
            secret=[str(n) for n in range(rows)],
        ),
        FIELDS,
        ignore=["secret"],
    )
    kinds = {"view": "number", "tax": "number", "listed": "number", "roof": "text"}
    unused = dict.fromkeys(("remarks", "county", "nothing"), "unused")
    assert read.features == kinds | unused
    assert set(read.sales.properties.attributes) == {"view", "tax", "listed"}
    assert read.sales.properties.attributes["tax"].max() == 39_000
    assert set(read.sales.properties.categories) == {"roof"}


def test_postal_codes_are_names_and_not_numbers() -> None:
    rows = 80
    read = read_sales(
        table(
            rows,
            zip=[str(98_001 + 7 * (n % 4)) for n in range(rows)],
            lot=[str(4_000 + 131 * n) for n in range(rows)],
            rooms=[str(3 + n % 4) for n in range(rows)],
        ),
        FIELDS,
    )
    assert read.features == {"zip": "text", "lot": "number", "rooms": "number"}


def test_a_column_named_like_a_line_of_the_grid_keeps_apart() -> None:
    read = read_sales(table(time=[str(n) for n in range(40)]), FIELDS)
    assert set(read.sales.properties.attributes) == {"time (of the file)"}


def test_years_of_renovation_are_told_from_other_years_and_zero_is_none() -> None:
    rows = 40
    read = read_sales(
        table(
            rows,
            built=[str(1950 + n) for n in range(rows)],
            redone=["0" if n % 3 else str(2000 + n) for n in range(rows)],
            annexed=["1900"] * (rows - 1) + ["0"],
        ),
        {**FIELDS, "year_built": "built"},
    )
    sold = read.sales.properties
    at = {parcel: row for row, parcel in enumerate(sold.parcel_id)}
    assert [sold.effective_year_built[at[f"p{n}"]] for n in (3, 4)] == [2003, 1954]
    assert np.isnan(sold.attributes["redone"][at["p4"]])
    assert sold.effective_year_built.min() == 1951


@pytest.mark.parametrize(
    ("fields", "ignore", "code"),
    [
        ({"sale_price": "price"}, [], "field_missing"),
        ({**FIELDS, "latitude": "lat"}, [], "column_missing"),
        (FIELDS, ["lat"], "column_missing"),
    ],
)
def test_fields_that_do_not_fit_the_file_are_refused(fields: dict[str, str], ignore: list[str], code: str) -> None:
    with pytest.raises(ValuationRefusedError) as refusal:
        read_sales(table(), fields, ignore=ignore)
    assert refusal.value.code == code


def test_the_price_is_no_other_field_as_well() -> None:
    with pytest.raises(ValuationRefusedError) as refusal:
        read_sales(table(), {**FIELDS, "assessed": "price"})
    assert refusal.value.code == "column_repeated"


@pytest.mark.parametrize(
    "name", ["sale_price_usd", "is_qualified", "parcel_count", "decision", "statistics_reason", "location", "model"]
)
def test_a_column_or_field_of_any_name_is_a_feature_and_nothing_else(name: str) -> None:
    values: list[str | None] = [str(n % 7) for n in range(40)]
    as_column = read_sales(table().with_columns(pl.Series(name, values)), FIELDS)
    as_field = read_sales(table(other=values), {**FIELDS, name: "other"})
    assert (len(as_column.sales), len(as_field.sales)) == (40, 40)
    assert set(as_column.sales.properties.attributes) == {f"{name} (of the file)"}
    assert set(as_field.sales.properties.attributes) == {"other"}


def test_a_day_that_stands_for_no_date_is_left_out() -> None:
    read = read_sales(changed("sold", "1900-01-01"), FIELDS)
    assert read.left_out == {"before_period": 1}


def test_coordinates_that_stand_for_none_are_not_known() -> None:
    longitude: list[str | None] = ["0", "-1190.3", *["-119.3"] * 38]
    latitude: list[str | None] = ["0.0", "46.2", *["46.2"] * 38]
    read = read_sales(table(x=longitude, y=latitude), {**FIELDS, "longitude": "x", "latitude": "y"})
    assert np.isnan(read.sales.properties.longitude).sum() == 2
    assert any(note.startswith("2 of 40 sales have no coordinates") for note in read.notes)


@pytest.mark.parametrize("empty", [table().head(0), table().with_columns(price=pl.lit("1"))])
def test_a_file_without_a_usable_sale_is_refused(empty: pl.DataFrame) -> None:
    with pytest.raises(ValuationRefusedError) as refusal:
        read_sales(empty, FIELDS)
    assert refusal.value.code == "no_sales"


def test_missing_coordinates_and_a_single_neighborhood_are_told() -> None:
    notes = read_sales(table(), FIELDS).notes
    assert any("40 of 40 sales have no coordinates" in note for note in notes)
    assert any("one neighbourhood" in note for note in notes)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_dates_are_read_in_the_usual_forms(day: date) -> None:
    for form in ("%Y-%m-%d", "%Y%m%dT000000", "%m/%d/%Y", "%Y-%m-%d 13:45:10", "%Y-%m-%dT13:45:10Z"):
        assert to_date(pl.Series([day.strftime(form)])).to_list() == [day]


@pytest.mark.parametrize(
    "form", ["%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%b %d, %Y 12:00 AM"]
)
def test_the_form_of_dates_is_that_of_most_cells(form: str) -> None:
    days = [date(2014, 5, 2), date(2014, 10, 13), date(2015, 2, 28), date(2015, 12, 31)]
    assert to_date(pl.Series([day.strftime(form) for day in days])).to_list() == days


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_numbers_are_read_as_they_are_written(number: float) -> None:
    assert to_number(pl.Series([repr(number), f"${number:,.2f}".replace("$-", "-$")]))[0] == number


def test_money_with_sign_and_commas_is_a_number() -> None:
    assert to_number(pl.Series(["$1,250,000", " 7 ", "1e400", "seven"])).to_list() == [1_250_000, 7, None, None]
