from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.ingest import MASK
from contracts.mapping import ColumnType, SourceTable
from services.ingest.domain.rows import (
    DIGEST,
    FAULT_FIELD,
    FAULT_VALUE,
    KEY,
    from_images,
    images,
    normalise,
)

TABLE = SourceTable(
    name="t",
    key=("id", "code"),
    columns={
        "id": ColumnType.INTEGER,
        "code": ColumnType.TEXT,
        "amount": ColumnType.DECIMAL,
        "flag": ColumnType.BOOLEAN,
        "day": ColumnType.DATE,
        "seen": ColumnType.TIMESTAMP,
        "owner": ColumnType.TEXT,
    },
    personal=("owner",),
)
EMPTY: dict[str, str | None] = dict.fromkeys(TABLE.columns)


def read(**cells: str | None) -> dict[str, object]:
    row = {**EMPTY, "id": "1", "code": "A", **cells}
    return normalise(TABLE, pl.DataFrame([row], schema=dict.fromkeys(TABLE.columns, pl.String))).to_dicts()[0]


def digest(**cells: str | None) -> object:
    return read(**cells)[DIGEST]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_a_decimal_reads_the_same_however_it_is_written(value: Decimal) -> None:
    written = f"{value:f}"
    padded = f"{written}000" if "." in written else f"{written}.000"
    again = read(amount=written)["amount"]
    assert again == read(amount=f" {padded} ")["amount"] == read(amount=str(again))["amount"]
    assert Decimal(str(again)) == value
    assert digest(amount=written) == digest(amount=padded)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3).filter(bool))
def test_the_sign_of_a_decimal_counts(value: Decimal) -> None:
    assert digest(amount=f"{value:f}") != digest(amount=f"{-value:f}")


def test_scientific_numbers_are_spelt_out() -> None:
    assert [read(amount=text)["amount"] for text in ("2.3e-05", "1E3", "-.5e2")] == ["0.000023", "1000", "-50"]


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=20))
def test_only_trailing_blanks_of_a_text_do_not_count(text: str) -> None:
    assert read(owner=text)["owner"] == text.rstrip(" ")
    assert digest(owner=text) == digest(owner=f"{text}   ")
    assert digest(owner=text) != digest(owner=f"{text}x")


def test_null_is_not_the_empty_text() -> None:
    assert len({digest(owner=None), digest(owner=""), digest(owner="null")}) == 3


def test_a_value_in_another_column_is_another_row() -> None:
    assert digest(day="2026-01-02") != digest(seen="2026-01-02")


def test_times_are_local_and_without_idle_digits() -> None:
    spelt = ("2026-01-02 03:04:05", "2026-01-02T03:04:05.000", " 2026-01-02 03:04:05.0")
    assert {read(seen=text)["seen"] for text in spelt} == {"2026-01-02T03:04:05"}
    assert read(seen="2026-01-02")["seen"] == "2026-01-02T00:00:00"
    assert read(seen="2026-01-02 03:04:05.120")["seen"] == "2026-01-02T03:04:05.12"


def test_booleans_of_several_spellings() -> None:
    assert [read(flag=text)["flag"] for text in ("t", "TRUE", "1", "Y")] == [True] * 4
    assert [read(flag=text)["flag"] for text in ("f", "false", "0", "n")] == [False] * 4


def test_what_cannot_be_read_is_named_and_people_are_masked() -> None:
    for name, text in (("id", "x1"), ("amount", "1,5"), ("flag", "maybe"), ("day", "2026-02-30"), ("seen", "noon")):
        row = read(**{name: text})
        assert (row[FAULT_FIELD], row[FAULT_VALUE], row[name]) == (name, text, None)
    assert read()[FAULT_FIELD] is None


def test_texts_that_mean_null() -> None:
    table = TABLE.model_copy(update={"null_values": {"day": ("1901-01-01",)}})
    raw = pl.DataFrame(
        [{**EMPTY, "id": "1", "code": "A", "day": "1901-01-01"}], schema=dict.fromkeys(TABLE.columns, pl.String)
    )
    row = normalise(table, raw).to_dicts()[0]
    assert (row["day"], row[FAULT_FIELD]) == (None, None)


keys = st.tuples(st.integers(-9, 9), st.text(alphabet="a/%2F5 ", max_size=5))


@given(keys, keys)
def test_different_keys_have_different_texts(left: tuple[int, str], right: tuple[int, str]) -> None:
    stripped = [(number, text.rstrip(" ")) for number, text in (left, right)]
    texts = [read(id=str(number), code=text)[KEY] for number, text in (left, right)]
    assert (texts[0] == texts[1]) == (stripped[0] == stripped[1])


def test_images_mask_people_and_come_back_as_they_were() -> None:
    raw = pl.DataFrame(
        [{**EMPTY, "id": "7", "code": 'q"', "amount": "1.50", "flag": "t", "owner": "DOE, JANE"}, {**EMPTY, "id": "8"}],
        schema=dict.fromkeys(TABLE.columns, pl.String),
    )
    clean = normalise(TABLE, raw)
    encoded = images(TABLE, clean)
    assert "DOE" not in "".join(encoded)
    past = from_images(TABLE, encoded)
    assert past["owner"].to_list() == [MASK, None]
    assert past.drop("owner").equals(clean.select(past.columns).drop("owner"))
