"""Any file of sales as sales: known columns by name, the others as features whose types are found out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from appraisal.sale_screening import ScreeningRules, screen_sales
from services.valuation.domain.column_types import MOSTLY, find_type, free_name, is_year, to_date, to_number
from services.valuation.domain.properties import IMPROVED_RESIDENTIAL, NUMBERS, TEXTS, properties
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales

REQUIRED = ("sale_price", "sale_date")
KNOWN = (*REQUIRED, "sale_id", "parcel_id", *NUMBERS, *TEXTS)
NOMINAL_PRICE_USD = 1_000.0
EARLIEST = date(1901, 1, 1)  # before it stand the days that databases keep for "no date"


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
    used = {*(column for name, column in fields.items() if name in KNOWN), *ignore}
    others = {free_name(column, "file"): column for column in table.columns if column not in used}
    numbers, texts, features = _further(table, others)
    frame = pl.DataFrame([*_with_effective_year(_placed(typed), numbers).get_columns(), *numbers, *texts])
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


def _require(table: pl.DataFrame, fields: Mapping[str, str], ignore: Sequence[str]) -> None:
    for name in REQUIRED:
        if name not in fields:
            raise ValuationRefusedError("field_missing", f"the fields name no column for {name}", {"field": name})
    for name, column in fields.items():
        if name != "sale_price" and column == fields["sale_price"]:
            raise ValuationRefusedError(
                "column_repeated", f"{column!r} is the price, and cannot be {name} as well", {"column": column}
            )
    for column in (*fields.values(), *ignore):
        if column not in table.columns:
            raise ValuationRefusedError(
                "column_missing",
                f"the file has no column {column!r}; it has {', '.join(map(repr, table.columns))}",
                {"column": column},
            )


def _further(table: pl.DataFrame, others: Mapping[str, str]) -> tuple[list[pl.Series], list[pl.Series], dict[str, str]]:
    """Further numbers and texts, and what each column was taken for."""
    numbers: list[pl.Series] = []
    texts: list[pl.Series] = []
    features: dict[str, str] = {}
    for name, column in others.items():
        kind = find_type(table[column])
        features[column] = "unused" if kind is None else "text" if kind.is_text else "number"
        if kind is not None:
            (texts if kind.is_text else numbers).append(kind.read(table[column]).alias(name))
    return numbers, texts, features


def _placed(known: pl.DataFrame) -> pl.DataFrame:
    """Without the coordinates that stand for none: 0 and 0, and those off the globe where most are on it."""
    if not {"longitude", "latitude"} <= set(known.columns):
        return known
    nowhere = (pl.col("longitude") == 0) & (pl.col("latitude") == 0)
    off = (pl.col("longitude").abs() > 180) | (pl.col("latitude").abs() > 90)
    given = known.filter(~nowhere)
    if given.filter(off).height * 2 < given.height:
        nowhere |= off
    return known.with_columns(
        pl.when(nowhere).then(None).otherwise(pl.col(name)).alias(name) for name in ("longitude", "latitude")
    )


def _with_effective_year(known: pl.DataFrame, numbers: Sequence[pl.Series]) -> pl.DataFrame:
    """The year built or renovated last, where a column gives years to some houses and hardly any before theirs."""
    if "year_built" not in known.columns or "effective_year_built" in known.columns:
        return known
    built = known["year_built"]
    renovated = [years for years in numbers if is_year(years) and _is_renovation(years, built)]
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
    rules = ScreeningRules(from_date=EARLIEST, to_date=date.max, minimum_price_usd=NOMINAL_PRICE_USD)
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
