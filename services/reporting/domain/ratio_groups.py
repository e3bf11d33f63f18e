"""The tables of a ratio study by group."""

import polars as pl

from appraisal.ratio_study import RatioStudy, study_by_group
from contracts.api.reporting import RatioStudyArguments, RatioStudyGroup
from services.reporting.domain import standards
from services.reporting.domain.document import Cell, Column, Table
from services.reporting.domain.sales import AGE_BANDS, OLDEST, decile_labels, group_column
from services.reporting.domain.wording import written_level

TITLES: dict[RatioStudyGroup, tuple[str, str]] = {
    "neighborhood": ("By neighborhood", "Neighborhood"),
    "use_code": ("By use code", "Use code"),
    "value_decile": ("By value decile", "Decile of value"),
    "sale_year": ("By year of sale", "Year of sale"),
    "building_age": ("By age of building at sale", "Age at sale"),
}
AGE_ORDER = (*(words for _, words in AGE_BANDS), OLDEST)


def group_tables(grouped: pl.DataFrame, overall: RatioStudy, arguments: RatioStudyArguments) -> tuple[Table, ...]:
    """One table for each group asked for, in the order asked."""
    return tuple(_table(grouped, group, overall, arguments) for group in dict.fromkeys(arguments.group_by))


def _table(grouped: pl.DataFrame, group: RatioStudyGroup, overall: RatioStudy, arguments: RatioStudyArguments) -> Table:
    studies = study_by_group(
        grouped["estimate_usd"],
        grouped["price_usd"],
        grouped[group_column(group)],
        confidence=arguments.confidence_level,
        resamples=1,  # the intervals shown here are closed-form; the bootstrap's would be thrown away
    )
    labels = decile_labels(grouped) if group == "value_decile" else {}
    names = sorted(studies, key=lambda name: _reading_order(group, name))
    rows = tuple(_row(labels.get(name, name), studies[name], overall) for name in names)
    title, label = TITLES[group]
    return Table(
        f"by_{group}",
        title,
        _columns(label, arguments),
        rows,
        total=_row("All sales", overall, overall),
        note=_note(rows, group),
    )


def _columns(label: str, arguments: RatioStudyArguments) -> tuple[Column, ...]:
    level = written_level(arguments.confidence_level)
    return (
        Column("group", label, grow=True),
        Column("n", "Sales", "integer"),
        Column("median", "Median", "ratio"),
        Column("median_low", f"{level} low", "ratio"),
        Column("median_high", f"{level} high", "ratio"),
        Column("difference_percent", "vs. all", "percent"),
        Column("weighted_mean", "Wtd. mean", "ratio"),
        Column("cod", "COD", "decimal"),
        Column("prd", "PRD", "ratio"),
        Column("prb", "PRB", "signed"),
    )


def _row(label: str, study: RatioStudy, overall: RatioStudy) -> tuple[Cell, ...]:
    if study.n < standards.MINIMUM_SALES or study.median is None or not overall.median:
        return (label, study.n, *[None] * 8)
    low, high = study.median_interval or (None, None)
    prb = study.prb if study.n >= standards.MINIMUM_SALES_FOR_PRB else None
    difference = 100 * (study.median / overall.median - 1)
    return (label, study.n, study.median, low, high, difference,
            study.weighted_mean, study.cod, study.prd, prb)  # fmt: skip


def _note(rows: tuple[tuple[Cell, ...], ...], group: RatioStudyGroup) -> str:
    differences = [row[5] for row in rows if isinstance(row[5], float)]
    apart = sum(abs(difference) > standards.STRATUM_TOLERANCE_PERCENT for difference in differences)
    note = f"{apart} of {len(differences)} groups are more than 5% off the overall median (IAAO section 9.2.1)."
    small = len(rows) - len(differences)
    if small:
        words = "One group of" if small == 1 else f"{small} groups of"
        note += f" {words} fewer than {standards.MINIMUM_SALES} sales: counted, not computed."
    if group == "value_decile":  # within one decile hardly any difference of value is left to regress on
        note += " Deciles are of half the price and half the value at the overall level."
    return note


def _reading_order(group: RatioStudyGroup, name: str) -> tuple[int, str]:
    if group == "building_age":
        return (AGE_ORDER.index(name) if name in AGE_ORDER else len(AGE_ORDER), name)
    return (name.startswith("("), name)
