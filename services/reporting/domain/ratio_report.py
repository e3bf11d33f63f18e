"""The IAAO ratio study as a document."""

from typing import Any

import polars as pl

from appraisal.ratio_study import RatioStudy, ratio_study
from contracts.api.reporting import RatioStudyArguments
from services.reporting.domain import standards
from services.reporting.domain.charts import ratio_by_price, ratio_histogram
from services.reporting.domain.chasing import (
    NOTE,
    ChasingEvidence,
    chasing_section,
    chasing_tests,
    count_suspicious,
)
from services.reporting.domain.document import Cell, Column, Document, Figure, ReportContext, Section, Table
from services.reporting.domain.ratio_groups import group_tables
from services.reporting.domain.ratio_method import method_notes
from services.reporting.domain.refusals import ReportRefusedError
from services.reporting.domain.sales import REASONS, Screened, screen, with_groups
from services.reporting.domain.wording import written, written_date, written_level, written_span

VALUE_SOURCES = {"assessed": "Assessed value on the roll", "valuation": "Value of a valuation run"}
SALE_LIST = (
    Column("parcel_number", "Parcel"),
    Column("situs_address", "Situs address", grow=True),
    Column("use_code", "Use"),
    Column("neighborhood", "Neighborhood"),
    Column("sale_date", "Sale date", "date"),
    Column("price_usd", "Price ($)", "usd"),
    Column("estimate_usd", "Value ($)", "usd"),
    Column("ratio", "Ratio", "ratio"),
)


def ratio_study_document(
    sales: pl.DataFrame,
    arguments: RatioStudyArguments,
    context: ReportContext,
    *,
    evidence: ChasingEvidence | None = None,
) -> Document:
    """Study the sales of the window (columns of `sales.SALE_COLUMNS`) and set the findings out.

    Raises ReportRefusedError `too_few_sales` where fewer than two sales are left to study.
    """
    screened = screen(sales, arguments)
    study = _study(screened.used, arguments, screened)
    assert study.median is not None  # two sales have a median
    grouped = with_groups(screened.used, study.median)
    tests = chasing_tests(screened.used, sales, evidence or ChasingEvidence(level=context.legal_assessment_level))
    sections = (
        _findings(study, grouped, arguments, context),
        _scope(screened, study, arguments, sales.height),
        Section("groups", "Results by group", tables=group_tables(grouped, study, arguments)),
        chasing_section(tests),
        Section("left_out", "Sales left out and why", tables=(_left_out_list(screened),)),
        Section("method", "Method", notes=(*method_notes(screened, arguments, context.state), NOTE)),
        Section("sales", "Sales used", tables=(_sale_list(screened.used),)),
    )
    return Document(
        report="ratio_study",
        title="Assessment\N{EN DASH}Sales Ratio Study",
        subtitle=_subtitle(screened.used, arguments),
        context=context,
        parameters=_parameters(arguments, context),
        sections=tuple(section for section in sections if section.notes or _filled(section)),
        detail="sales",
        confidence_level=arguments.confidence_level,
        summary={**_summary(study, screened), "chasing_tests_suspicious": count_suspicious(tests)},
    )


def _study(used: pl.DataFrame, arguments: RatioStudyArguments, screened: Screened) -> RatioStudy:
    if used.height < 2:
        raise ReportRefusedError(
            "too_few_sales",
            f"A ratio study needs at least 2 usable sales; {used.height} of "
            f"{used.height + screened.left_out.height} in the window can be used.",
            {"used": used.height, "left_out": _reason_counts(screened)},
        )
    return ratio_study(used["estimate_usd"], used["price_usd"], confidence=arguments.confidence_level)


def key_figures(study: RatioStudy, arguments: RatioStudyArguments, level: standards.Range) -> tuple[Figure, ...]:
    """The study's figures, each with its interval, its range and the finding."""
    few = study.n < standards.MINIMUM_SALES
    cod_range = standards.COD[arguments.property_class][1]
    ranges: dict[str, tuple[str, Any, tuple[float, float] | None]] = {
        "median": ("Median ratio", "ratio", level),
        "mean": ("Mean ratio", "ratio", level),
        "weighted_mean": ("Weighted mean ratio", "ratio", level),
        "cod": ("Coefficient of dispersion (COD)", "decimal", cod_range),
        "prd": ("Price-related differential (PRD)", "ratio", standards.PRD),
        "prb": ("Coefficient of price-related bias (PRB)", "signed", standards.PRB),
        "mki": ("Modified Kakwani index (MKI)", "ratio", None),
        "vei": ("Vertical equity indicator (VEI), %", "decimal", None),
    }
    figures = [Figure("n", "Sales studied", "integer", study.n)]
    for key, (label, kind, allowed) in ranges.items():
        value, interval = getattr(study, key), getattr(study, f"{key}_interval")
        judge = standards.judge_cod if key == "cod" else standards.judge
        finding = standards.INFORMATIONAL if allowed is None else judge(value, interval, allowed)
        low, high = interval or (None, None)
        range_low, range_high = allowed or (None, None)
        found = standards.TOO_FEW if few else finding
        figures.append(Figure(key, label, kind, value, low, high, range_low, range_high, found))
    return tuple(figures)


def _findings(
    study: RatioStudy, grouped: pl.DataFrame, arguments: RatioStudyArguments, context: ReportContext
) -> Section:
    assert study.median is not None
    level = standards.level_range(context.legal_assessment_level)
    figures = key_figures(study, arguments, level)
    medians = grouped.group_by("group_value_decile").agg(
        pl.col("price_usd").median(), pl.col("ratio").median(), pl.len().alias("sales")
    )
    enough = medians.filter(pl.col("sales") >= 3).sort("price_usd").select("price_usd", "ratio")
    charts = (
        ratio_histogram(grouped, study.median, level),
        ratio_by_price(grouped, study.median, level, deciles=enough.to_dicts()),
    )
    return Section("findings", "Findings", (_in_words(figures, arguments),), figures, charts)


def _in_words(figures: tuple[Figure, ...], arguments: RatioStudyArguments) -> str:
    named = {figure.key: figure for figure in figures}
    level = written_level(arguments.confidence_level)
    sentences = [f"{named['n'].value:,} sales were studied."]
    for key, subject in (
        ("median", "The level of appraisal (the median ratio)"),
        ("cod", "The coefficient of dispersion"),
        ("prd", "The price-related differential"),
        ("prb", "The coefficient of price-related bias"),
    ):
        figure = named[key]
        if figure.value is None or figure.finding is None:
            continue
        span = written_span(figure.low, figure.high, figure.kind)
        interval = f" ({level} interval {span})" if figure.low is not None else ""
        verdict = figure.finding.text[0].lower() + figure.finding.text[1:]
        sentences.append(f"{subject} is {written(figure.value, figure.kind)}{interval}: {verdict}.")
    return " ".join(sentences)


def _scope(screened: Screened, study: RatioStudy, arguments: RatioStudyArguments, in_window: int) -> Section:
    counts = _reason_counts(screened)
    rows: list[tuple[Cell, ...]] = [("Sales in the window and scope", in_window)]
    rows += [(f"Left out: {words}", -counts[reason]) for reason, words in REASONS.items() if reason in counts]
    columns = (Column("step", "Step", grow=True), Column("sales", "Sales", "integer"))
    tables = [Table("screening", "From recorded to studied sales", columns, tuple(rows), ("Studied", study.n))]
    if arguments.trim_outliers:
        tables.append(_trimming(screened, study, arguments))
    return Section("scope", "Sales screened", tables=tuple(tables))


def _trimming(screened: Screened, study: RatioStudy, arguments: RatioStudyArguments) -> Table:
    before = ratio_study(
        screened.untrimmed["estimate_usd"],
        screened.untrimmed["price_usd"],
        confidence=arguments.confidence_level,
        resamples=1,  # only the figures are shown, without their intervals
    )
    columns = (
        Column("sample", "Sample", grow=True),
        Column("n", "Sales", "integer"),
        Column("median", "Median", "ratio"),
        Column("cod", "COD", "decimal"),
        Column("prd", "PRD", "ratio"),
        Column("prb", "PRB", "signed"),
    )
    rows = tuple(
        (name, result.n, result.median, result.cod, result.prd, result.prb)
        for name, result in (("Before trimming", before), ("After trimming", study))
    )
    note = "Nothing was trimmed: fewer than 20 sales."
    if screened.fences:
        share = 100 * (before.n - study.n) / before.n
        note = f"Fences: {written_span(*screened.fences, 'ratio')}; {share:.1f}% of the sales were trimmed."
    return Table("trimming", "Effect of trimming outliers", columns, rows, note=note)


def _sale_list(used: pl.DataFrame) -> Table:
    return Table("sales", "Sales used", SALE_LIST, _rows(used, SALE_LIST))


def _left_out_list(screened: Screened) -> Table:
    columns = (
        *SALE_LIST[:1],
        SALE_LIST[2],
        *SALE_LIST[4:],
        Column("validity_code", "Code"),
        Column("reason", "Reason", grow=True),
    )
    listed = screened.left_out.with_columns(pl.col("reason").replace_strict(REASONS))
    return Table("left_out", "Sales left out and why", columns, _rows(listed, columns))


def _rows(frame: pl.DataFrame, columns: tuple[Column, ...]) -> tuple[tuple[Cell, ...], ...]:
    finite = pl.selectors.float()
    tidy = frame.with_columns(
        pl.col("sale_date").dt.strftime("%Y-%m-%d"),
        pl.when(finite.is_finite()).then(finite),
    )
    return tuple(tidy.select(column.key for column in columns).iter_rows())


def _reason_counts(screened: Screened) -> dict[str, int]:
    return dict(screened.left_out.group_by("reason").len().sort("reason").iter_rows())


def _filled(section: Section) -> bool:
    return bool(section.paragraphs) or any(table.rows for table in section.tables)


def _subtitle(used: pl.DataFrame, arguments: RatioStudyArguments) -> str:
    first, last = arguments.from_date or used["sale_date"].min(), arguments.to_date or used["sale_date"].max()
    return f"Sales of {written_date(first)} to {written_date(last)}"  # type: ignore[arg-type]


def _parameters(arguments: RatioStudyArguments, context: ReportContext) -> tuple[tuple[str, str], ...]:
    class_words, cod_range = standards.COD[arguments.property_class]
    run = f" (run {arguments.run_id})" if arguments.run_id else ""
    first, last = (
        arguments.from_date or "the first recorded sale",
        arguments.to_date or "the last recorded sale",
    )
    return (
        ("Values under study", VALUE_SOURCES[arguments.value_source] + run),
        ("Legal level of assessment", written(context.legal_assessment_level, "decimal")),
        ("Sale dates", f"{first} to {last}"),
        ("Use codes", ", ".join(arguments.use_codes) or "all"),
        ("Neighborhoods", ", ".join(arguments.neighborhoods) or "all"),
        ("Minimum sale price", f"${arguments.minimum_price_usd:,.0f}"),
        ("Sales admitted", "qualified sales only" if arguments.qualified_only else "qualified or not"),
        ("Outliers", "trimmed" if arguments.trim_outliers else "not trimmed"),
        ("Confidence level", written_level(arguments.confidence_level)),
        ("COD range applied", f"{written_span(*cod_range, 'decimal')}: {class_words}"),
    )


def _summary(study: RatioStudy, screened: Screened) -> dict[str, Cell]:
    named = {
        "median_ratio": study.median,
        "mean_ratio": study.mean,
        "weighted_mean_ratio": study.weighted_mean,
    }
    others = {key: getattr(study, key) for key in ("cod", "prd", "prb", "mki", "vei")}
    return {"n": study.n, "left_out": screened.left_out.height, **named, **others}
