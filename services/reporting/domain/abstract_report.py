"""The abstract of assessed values as a document."""

from decimal import Decimal

import polars as pl

from contracts.api.reporting import AbstractGroup, AbstractOfValuesArguments
from services.reporting.domain.charts import value_by_group
from services.reporting.domain.document import (
    Cell,
    Chart,
    Column,
    Document,
    Figure,
    Note,
    ReportContext,
    Section,
    Table,
)
from services.reporting.domain.refusals import ReportRefusedError
from services.reporting.domain.wording import written

MONEY = pl.Decimal(38, 2)  # sums of a roll stay exact to the cent
VALUES = {
    "land_value_usd": "Land ($)",
    "improvement_value_usd": "Improvements ($)",
    "total_value_usd": "Assessed ($)",
    "market_value_usd": "Market ($)",
    "taxable_value_usd": "Taxable ($)",
    "exempt_value_usd": "Exempt ($)",
}
PARCEL_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "parcel_id": pl.String,
    "use_code": pl.String,
    "property_type": pl.String,
    "neighborhood": pl.String,
    "situs_city": pl.String,
    "tax_year": pl.Int64,
    "supplement": pl.Int64,
    "land_value_usd": MONEY,
    "improvement_value_usd": MONEY,
    "total_value_usd": MONEY,
    "market_value_usd": MONEY,
    "taxable_value_usd": MONEY,
    "prior_total_value_usd": MONEY,
}
TITLES: dict[AbstractGroup, tuple[str, str]] = {
    "use_code": ("By use code", "Use code"),
    "property_type": ("By property type", "Property type"),
    "neighborhood": ("By neighborhood", "Neighborhood"),
    "situs_city": ("By city", "City"),
}
UNKNOWN = "(not recorded)"
MOST_BARS = 15
WORDED = ("total_value_usd", "taxable_value_usd")


def abstract_document(parcels: pl.DataFrame, arguments: AbstractOfValuesArguments, context: ReportContext) -> Document:
    """Add up the roll (columns of PARCEL_COLUMNS) by the groups asked for.

    Raises ReportRefusedError `no_parcels` where nothing is in scope.
    """
    if parcels.is_empty():
        raise ReportRefusedError("no_parcels", "No parcel of the roll is in the report's scope.")
    roll = parcels.with_columns(exempt_value_usd=pl.col("total_value_usd") - pl.col("taxable_value_usd"))
    total = roll.select(_sums()).row(0, named=True)
    groups = tuple(dict.fromkeys(arguments.group_by))
    tables = tuple(_table(roll, group, total) for group in groups)
    sections = (
        Section("totals", "Totals", (_in_words(total),), _figures(total), (_chart(tables[0]),)),
        Section("groups", "Values by group", tables=tables),
        Section("change", "Change from the prior year", tables=(_change(roll, groups[0]),)),
        Section("method", "Method", notes=_notes(roll)),
    )
    return Document(
        report="abstract_of_values",
        title="Abstract of Assessed Values",
        subtitle=_subtitle(roll),
        context=context,
        parameters=_parameters(arguments),
        sections=sections,
        detail=tables[0].key,
        summary={"parcels": _plain(total["parcels"]), **{key: _plain(total[key]) for key in VALUES}},
    )


def _sums() -> list[pl.Expr]:
    return [pl.len().alias("parcels"), *(_sum(key) for key in VALUES)]


def _sum(key: str) -> pl.Expr:
    """The sum, or null where no parcel has the value: nothing recorded is not zero dollars."""
    return pl.when(pl.col(key).count() > 0).then(pl.col(key).sum()).alias(key)


def _grouped(roll: pl.DataFrame, group: AbstractGroup, sums: list[pl.Expr]) -> pl.DataFrame:
    known = pl.when(pl.col(group).str.len_chars() > 0).then(pl.col(group)).otherwise(pl.lit(UNKNOWN))
    return roll.group_by(known.alias("group")).agg(sums).sort("group")


def _table(roll: pl.DataFrame, group: AbstractGroup, total: dict[str, int | Decimal | None]) -> Table:
    title, label = TITLES[group]
    columns = (
        Column("group", label, grow=True),
        Column("parcels", "Parcels", "integer"),
        *(Column(key, words, "usd") for key, words in VALUES.items()),
    )
    rows = tuple(tuple(map(_plain, row)) for row in _grouped(roll, group, _sums()).iter_rows())
    closing = ("Total", *(_plain(total[column.key]) for column in columns[1:]))
    return Table(f"by_{group}", title, columns, rows, total=closing)


def _change(roll: pl.DataFrame, group: AbstractGroup) -> Table:
    """Assessed value against the prior year's, over parcels that have both. USD."""
    both = roll.drop_nulls(["total_value_usd", "prior_total_value_usd"])
    sums = [
        pl.len().alias("parcels"),
        pl.col("prior_total_value_usd").sum(),
        pl.col("total_value_usd").sum(),
        (pl.col("total_value_usd") != pl.col("prior_total_value_usd")).sum().alias("changed"),
    ]
    columns = (
        Column("group", TITLES[group][1], grow=True),
        Column("parcels", "Parcels", "integer"),
        Column("prior_total_value_usd", "Prior year ($)", "usd"),
        Column("total_value_usd", "This year ($)", "usd"),
        Column("changed", "Changed", "integer"),
        Column("change_usd", "Change ($)", "usd"),
        Column("change_percent", "Change", "percent"),
    )
    rows = tuple(_with_change(row) for row in _grouped(both, group, sums).iter_rows())
    closing = _with_change(("Total", *both.select(sums).row(0)))
    missing = roll.height - both.height
    note = f"{missing:,} of {roll.height:,} parcels have no value in one of the two years and are left out."
    return Table("change", TITLES[group][0], columns, rows, total=closing, note=note if missing else "")


def _with_change(row: tuple[Cell | Decimal, ...]) -> tuple[Cell, ...]:
    prior, now = row[2] or 0, row[3] or 0
    assert not isinstance(prior, str)
    assert not isinstance(now, str)
    change = float(now) - float(prior)
    return (*map(_plain, row), change, 100 * change / float(prior) if prior else None)


def _figures(total: dict[str, int | Decimal | None]) -> tuple[Figure, ...]:
    labels = {key: words.removesuffix(" ($)") + " value ($)" for key, words in VALUES.items()}
    amounts = (Figure(key, label, "usd", _number(total[key])) for key, label in labels.items())
    return (Figure("parcels", "Parcels", "integer", _number(total["parcels"])), *amounts)


def _in_words(total: dict[str, int | Decimal | None]) -> str:
    assessed, taxable = (written(_plain(total[key]), "usd") for key in WORDED)
    return f"{total['parcels']:,} parcels: assessed value ${assessed}, taxable value ${taxable}."


def _chart(table: Table) -> Chart:
    largest = sorted(table.rows, key=lambda row: (-(row[4] if isinstance(row[4], float) else 0), str(row[0])))
    bars: list[dict[str, str | float]] = [
        {"group": str(row[0]), "millions": round((row[4] if isinstance(row[4], float) else 0) / 1e6, 3)}
        for row in largest[:MOST_BARS]
    ]
    title = f"Assessed value {table.title.lower()}"
    shown = f", the {len(bars)} largest of {len(table.rows)}" if len(table.rows) > len(bars) else ""
    return value_by_group(title + shown, bars)


def _notes(roll: pl.DataFrame) -> tuple[Note, ...]:
    empty = {key: roll[key].null_count() for key in VALUES}
    lacking = "; ".join(
        f"{VALUES[key].removesuffix(' ($)').lower()}: {count:,}" for key, count in empty.items() if count
    )
    return (
        Note("roll", "The roll", "The current working layer of each parcel: its latest tax year and supplement."),
        Note(
            "exempt",
            "Exempt value",
            "Only over parcels for which both values are recorded.",
            "exempt = assessed - taxable",
        ),
        Note(
            "missing",
            "Values not recorded",
            f"Parcels without a value, counted as parcels and adding nothing: {lacking}."
            if lacking
            else "Every parcel in scope has every value.",
        ),
        Note("sums", "Sums", "Added to the cent; shown in whole dollars."),
    )


def _subtitle(roll: pl.DataFrame) -> str:
    years = sorted(roll["tax_year"].drop_nulls().unique().to_list())
    if not years:
        return "Working roll"
    return f"Tax year {years[0]}" if len(years) == 1 else f"Tax years {years[0]} to {years[-1]}"


def _parameters(arguments: AbstractOfValuesArguments) -> tuple[tuple[str, str], ...]:
    return (
        ("Use codes", ", ".join(arguments.use_codes) or "all"),
        ("Neighborhoods", ", ".join(arguments.neighborhoods) or "all"),
        ("Parcels", "active and inactive" if arguments.include_inactive else "active only"),
    )


def _plain(value: Cell | Decimal) -> Cell:
    return float(value) if isinstance(value, Decimal) else value


def _number(value: int | Decimal | None) -> int | float | None:
    return float(value) if isinstance(value, Decimal) else value
