"""The method notes of a ratio study: what was computed, by which formula, and where that is written."""

from contracts.api.reporting import RatioStudyArguments
from services.reporting.domain.document import Note
from services.reporting.domain.sales import OUTLIER_FENCE_IQR, Screened
from services.reporting.domain.standards import STANDARD
from services.reporting.domain.wording import written_level, written_span

FORMULAS = (
    Note(
        "ratio", "Ratio", "The value under study A over the price P of each sale.", "r = A / P",
        f"{STANDARD}, section 5",
    ),
    Note(
        "level", "Level of appraisal",
        "The median ratio M is the measure of level; mean and weighted mean are shown beside it.",
        "M = median(r);  mean = sum r / n;  weighted mean = sum A / sum P",
        f"{STANDARD}, section 5.3",
    ),
    Note(
        "cod", "Coefficient of dispersion (COD)",
        "The average absolute deviation from the median ratio, in percent of it.",
        "COD = 100 / M * sum |r - M| / n",
        f"{STANDARD}, section 5.4 and Table 1-3",
    ),
    Note(
        "prd", "Price-related differential (PRD)",
        "Above 1.03 low-priced property is valued relatively higher (regressive), below 0.98 lower.",
        "PRD = mean ratio / weighted mean ratio",
        f"{STANDARD}, sections 5.6 and 9.2",
    ),
    Note(
        "prb", "Coefficient of price-related bias (PRB)",
        "The slope b of a least-squares line: the relative change of the ratio when value doubles. "
        "Below zero is regressive.",
        "(r - M) / M = a + b * log2((A / M + P) / 2)",
        f"{STANDARD}, section 5.6 and Appendix D",
    ),
    Note(
        "mki", "Modified Kakwani index (MKI)",
        "The Gini coefficient of values, ordered by price, over that of prices. Below 1 is regressive. "
        "The standard sets no range.",
        "MKI = Gini(A by P) / Gini(P)",
        "Quintos (2020, 2021), Journal of Property Tax Assessment and Administration",
    ),
    Note(
        "vei", "Vertical equity indicator (VEI)",
        "The median ratio of the highest value group less that of the lowest, in percent of the overall "
        "median. Below zero is regressive. The 2013 standard sets no range.",
        "VEI = 100 * (M of the highest group - M of the lowest) / M",
    ),
)  # fmt: skip


def method_notes(screened: Screened, arguments: RatioStudyArguments, state: str) -> tuple[Note, ...]:
    """The formulas, the intervals, the verdicts, the prices used, the outliers and the state's own rule."""
    notes = [*FORMULAS, _intervals(arguments), _verdicts(), _prices(screened)]
    if arguments.value_source == "valuation":
        notes.append(_model_values())
    if arguments.trim_outliers:
        notes.append(_outliers(screened))
    if state == "WA":
        notes.append(_washington())
    return tuple(notes)


def _intervals(arguments: RatioStudyArguments) -> Note:
    return Note(
        "intervals",
        "Confidence intervals",
        f"Two-sided at {written_level(arguments.confidence_level)}. Median: order statistics, free of any "
        "distribution. Mean: Student's t. Weighted mean: standard error of a ratio estimator. PRB: standard "
        "error of the slope. COD, PRD, MKI and VEI: percentile bootstrap of 1,000 resamples with a fixed "
        "seed, so that a repeated study gives the same figures.",
        reference=f"{STANDARD}, section 5.5",
    )


def _verdicts() -> Note:
    return Note(
        "findings",
        "Findings",
        "A figure outside its range counts against the standard only where its whole confidence interval is "
        "outside; otherwise the finding says that the interval reaches the range. A COD below 5 is flagged "
        "as a possible sign of sales chasing. The ranges are those of IAAO; a statutory range of the state "
        "goes before them.",
        reference=f"{STANDARD}, sections 9.1 and 9.2",
    )


def _prices(screened: Screened) -> Note:
    adjusted = int((screened.used["adjusted_price_usd"] > 0).sum() or 0)
    return Note(
        "prices",
        "Prices",
        f"The county's adjusted price was used where one is recorded ({adjusted:,} of "
        f"{screened.used.height:,} sales), else the sale price. No time adjustment was applied. Characteristics, "
        "use code and neighborhood are those of the working roll.",
        reference="IAAO Standard on Verification and Adjustment of Sales",
    )


def _model_values() -> Note:
    return Note(
        "model_values",
        "Values of a valuation run",
        "Where the valuation was fitted to sales of this study, the figures flatter it: a model is closer to "
        "the sales it has seen than to unsold property. Study sales after its valuation date to test it.",
        reference=f"{STANDARD}, Appendix E",
    )


def _outliers(screened: Screened) -> Note:
    fences = f" Here: {written_span(*screened.fences, 'ratio')}." if screened.fences else ""
    return Note(
        "outliers",
        "Outliers",
        "Ratios beyond the fences were trimmed once, before anything was computed; each is listed under the "
        f"sales left out. Samples of fewer than 20 sales are not trimmed.{fences}",
        f"Q1 - {OUTLIER_FENCE_IQR:.1f} * IQR  to  Q3 + {OUTLIER_FENCE_IQR:.1f} * IQR",
        f"{STANDARD}, Appendix B",
    )


def _washington() -> Note:
    return Note(
        "department_of_revenue",
        "Not the Department of Revenue's ratio",
        "The indicated ratio that the Department of Revenue certifies is computed by strata from average "
        "values and prices less 1 percent, and is not the median ratio of this study.",
        reference="Chapter 458-53 WAC",
    )
