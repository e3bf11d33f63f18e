"""Any file of sales as sales: known columns by name, the others as features whose types are found out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from appraisal.sale_screening import ScreeningRules, screen_sales
from services.valuation.domain.properties import IMPROVED_RESIDENTIAL, NUMBERS, TEXTS, properties
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales

REQUIRED = ("sale_price", "sale_date")
KNOWN = (*REQUIRED, "sale_id", "parcel_id", *NUMBERS, *TEXTS)
RESERVED = frozenset({"location", "time", "distance", "model", "particular", "base", "sales_around", "calibration"})
DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%Y/%m/%d", "%m-%d-%Y", "%d.%m.%Y", "%b %d, %Y", "%d-%b-%Y")
MOSTLY = 0.95  # of a column's filled cells: enough to tell its type
NOMINAL_PRICE_USD = 1_000.0
FEWEST_OF_A_LEVEL = 5
FIRST_YEAR, LAST_YEAR = 1600.0, 2200.0
SHORTEST_CODE, CLOSE_TOGETHER, ROWS_PER_CODE = 10_000.0, 1.5, 20
_TIME_OF_DAY = re.compile(r"[T ]\d{1,2}:?\d{2}.*$")
_MONEY = r"[$,\s]"


@dataclass(frozen=True, kw_only=True)
class SaleFile:
    """The usable sales, how many rows were left out for which reason, and how each other column is used."""

    sales: Sales
    left_out: Mapping[str, int]
    features: Mapping[str, str]
    notes: Sequence[str]


def read_sales(table: pl.DataFrame, fields: Mapping[str, str], *, ignore: Sequence[str] = ()) -> SaleFile:
    """Sales of a table of texts; `fields` names its column for each known name.

    Refuses (`field_missing`, `column_missing`, `no_sales`) what cannot be read; a row without price or date, of a
    nominal price or given twice is left out and counted.
    """
    _require(table, fields, ignore)
    if not table.height:
        raise ValuationRefusedError("no_sales", "the file has no rows", {"rows": 0})
    known = table.select(**{name: pl.col(column) for name, column in fields.items() if name in KNOWN})
    typed = known.with_columns(
        *(to_number(known[name]).alias(name) for name in (*NUMBERS, "sale_price") if name in known.columns),
        to_date(known["sale_date"]).alias("sale_date"),
    )
    others = {name: column for name, column in fields.items() if name not in KNOWN}
    used = {*fields.values(), *ignore}
    others |= {_free_name(column): column for column in table.columns if column not in used}
    numbers, texts, features = _further(table, others)
    frame = pl.DataFrame([*_with_effective_year(typed, numbers).get_columns(), *numbers, *texts])
    kept, left_out = _screen(frame)
    if not kept.height:
        raise ValuationRefusedError("no_sales", "no row of the file is a usable sale", {"left_out": left_out})
    read = properties(kept, attributes=[s.name for s in numbers], categories=[s.name for s in texts])
    read.kind[:] = IMPROVED_RESIDENTIAL  # one market, whatever stands in the file
    sales = Sales(
        properties=read,
        sale_id=np.array(kept["sale_id"].to_list(), dtype=object),
        sale_date=kept["sale_date"].to_numpy().astype("datetime64[D]"),
        price_usd=kept["sale_price_usd"].to_numpy().astype(float),
    )
    return SaleFile(sales=sales, left_out=left_out, features=features, notes=_notes(sales))


def to_number(column: pl.Series) -> pl.Series:
    """Plain numbers, or money with its sign and commas; null where a cell holds no finite number."""
    plain = column.cast(pl.String).str.replace_all(_MONEY, "")
    numbers = plain.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite().fill_null(value=False), None)


def to_date(column: pl.Series) -> pl.Series:
    """Dates in the one of the usual forms that most cells have; a time of day is dropped."""
    text = column.cast(pl.String).str.strip_chars().str.replace(_TIME_OF_DAY.pattern, "")
    read = [text.str.to_date(form, strict=False) for form in DATE_FORMATS]
    return min(read, key=lambda dates: dates.null_count())


def _require(table: pl.DataFrame, fields: Mapping[str, str], ignore: Sequence[str]) -> None:
    for name in REQUIRED:
        if name not in fields:
            raise ValuationRefusedError("field_missing", f"the fields name no column for {name}", {"field": name})
    for column in (*fields.values(), *ignore):
        if column not in table.columns:
            raise ValuationRefusedError(
                "column_missing",
                f"the file has no column {column!r}; it has {', '.join(map(repr, table.columns))}",
                {"column": column},
            )


def _free_name(column: str) -> str:
    taken = column in RESERVED or column in KNOWN or column in {"use", "quality", "age", "living_area", "land_area"}
    return f"{column} (of the file)" if taken else column


def _further(table: pl.DataFrame, others: Mapping[str, str]) -> tuple[list[pl.Series], list[pl.Series], dict[str, str]]:
    """Further numbers and texts, and what each column was taken for."""
    numbers: list[pl.Series] = []
    texts: list[pl.Series] = []
    features: dict[str, str] = {}
    for name, column in others.items():
        taken = _typed(table[column])
        features[column] = "unused" if taken is None else "text" if taken.dtype == pl.String else "number"
        if taken is not None:
            (texts if taken.dtype == pl.String else numbers).append(taken.alias(name))
    return numbers, texts, features


def _typed(column: pl.Series) -> pl.Series | None:
    """Numbers (dates as years), or texts of which some recur; None where there is nothing to learn from."""
    text = column.cast(pl.String).str.strip_chars()
    filled = text.is_not_null() & (text != "")
    count = int(filled.sum())
    if not count or text.filter(filled).n_unique() == 1 == text.n_unique():
        return None
    numbers = to_number(text)
    if numbers.is_not_null().sum() >= MOSTLY * count:
        if _is_year(numbers):
            return numbers.set((numbers == 0).fill_null(value=False), None)
        return text if _is_code(numbers) else numbers
    dates = to_date(text)
    if dates.is_not_null().sum() >= MOSTLY * count:
        return dates.dt.year() + dates.dt.ordinal_day() / 366.0
    commonest = int(text.filter(filled).value_counts()["count"].max())  # type: ignore[arg-type]
    return text if commonest >= FEWEST_OF_A_LEVEL else None


def _is_year(numbers: pl.Series) -> bool:
    """Whether all numbers but 0 (which then means none) are years."""
    given = numbers.filter((numbers != 0).fill_null(value=False))
    return bool(len(given)) and bool((given.is_between(FIRST_YEAR, LAST_YEAR) & (given == given.floor())).all())


def _is_code(numbers: pl.Series) -> bool:
    """Whether whole numbers are names, as postal codes are: long, of one length, close together, and recurring."""
    given = numbers.drop_nulls()
    low, high = float(given.min()), float(given.max())  # type: ignore[arg-type]
    alike = low >= SHORTEST_CODE and high < CLOSE_TOGETHER * low and len(f"{low:.0f}") == len(f"{high:.0f}")
    return alike and bool((given == given.floor()).all()) and given.n_unique() * ROWS_PER_CODE <= len(given)


def _with_effective_year(known: pl.DataFrame, numbers: Sequence[pl.Series]) -> pl.DataFrame:
    """The year built or renovated last, where a column gives years to some houses and hardly any before theirs."""
    if "year_built" not in known.columns or "effective_year_built" in known.columns:
        return known
    built = known["year_built"]
    renovated = [years for years in numbers if _is_year(years) and _is_renovation(years, built)]
    if not renovated:
        return known
    return known.with_columns(effective_year_built=pl.max_horizontal(built, *renovated))


def _is_renovation(years: pl.Series, built: pl.Series) -> bool:
    both = years.is_not_null() & built.is_not_null()
    some = 0 < int(both.sum()) < int(built.is_not_null().sum())
    return some and bool((years.filter(both) >= built.filter(both)).mean() >= MOSTLY)  # type: ignore[operator]


def _screen(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    row = pl.int_range(pl.len()).cast(pl.String)
    given = frame.columns
    named = frame.rename({"sale_price": "sale_price_usd"}).with_columns(
        parcel_id=pl.col("parcel_id").fill_null("row " + row) if "parcel_id" in given else "row " + row,
        sale_id=pl.col("sale_id").fill_null("row " + row) if "sale_id" in given else "row " + row.str.zfill(9),
    )
    rules = ScreeningRules(from_date=date.min, to_date=date.max, minimum_price_usd=NOMINAL_PRICE_USD)
    kept, left_out = screen_sales(named, rules)
    once = kept.unique(["parcel_id", "sale_date", "sale_price_usd"], keep="first", maintain_order=True)
    if once.height < kept.height:
        left_out = {**left_out, "given_twice": kept.height - once.height}
    return once, left_out


def _notes(sales: Sales) -> list[str]:
    sold = sales.properties
    unplaced = int((~(np.isfinite(sold.longitude) & np.isfinite(sold.latitude))).sum())
    notes = []
    if unplaced:
        notes.append(
            f"{unplaced} of {len(sales)} sales have no coordinates: their neighbourhood's middle stands for them"
        )
    if len(set(sold.neighborhood)) == 1:
        notes.append("all sales are of one neighbourhood: place counts by coordinates alone")
    resold = len(sales) - len(set(sold.parcel_id))
    if resold:
        notes.append(f"{resold} sales are of parcels that sold before; a parcel's own sales never value it")
    return notes
