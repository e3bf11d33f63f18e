"""The ranges a ratio study is held against, and how a figure is judged by them.

Source: IAAO, Standard on Ratio Studies (2013), sections 9.1 and 9.2 with Table 1-3.
"""

from contracts.api.reporting import PropertyClass
from services.reporting.domain.document import Finding

Range = tuple[float, float]

STANDARD = "IAAO Standard on Ratio Studies (2013)"
LEVEL: Range = (0.90, 1.10)  # of the legal level of assessment
PRD: Range = (0.98, 1.03)
PRB: Range = (-0.05, 0.05)
SUSPECT_COD = 5.0
STRATUM_TOLERANCE_PERCENT = 5.0
MINIMUM_SALES = 5
MINIMUM_SALES_FOR_PRB = 20  # a slope over fewer sales is noise

COD: dict[PropertyClass, tuple[str, Range]] = {
    "single_family_newer": ("single-family residential, newer or more homogeneous areas", (5.0, 10.0)),
    "single_family": ("single-family residential, older or more heterogeneous areas", (5.0, 15.0)),
    "other_residential": ("rural, seasonal, manufactured and 2-4 unit housing", (5.0, 20.0)),
    "income_producing": ("income-producing property, smaller samples", (5.0, 20.0)),
    "vacant_land": ("vacant land", (5.0, 25.0)),
}


def level_range(legal_assessment_level: float) -> Range:
    """The range of the median ratio around the level that the law wants (IAAO section 9.1)."""
    low, high = LEVEL
    return low * legal_assessment_level, high * legal_assessment_level


INFORMATIONAL = Finding("informational", "For information")
TOO_FEW = Finding("too_few", f"Fewer than {MINIMUM_SALES} sales")


def judge(value: float | None, interval: tuple[float, float] | None, allowed: Range) -> Finding:
    """Whether a figure is in its range, outside it, or outside without that being established.

    A figure outside the range counts as outside only where its whole confidence interval is (IAAO
    section 9.1.2: failure to meet the standard must be statistically significant).
    """
    low, high = allowed
    if value is None:
        return TOO_FEW
    if low <= value <= high:
        return Finding("within", "Within the range")
    side = "Below" if value < low else "Above"
    if interval is not None and interval[1] >= low and interval[0] <= high:
        return Finding("not_established", f"{side} the range; the interval reaches it")
    return Finding("outside", f"{side} the range")


def judge_cod(value: float | None, interval: tuple[float, float] | None, allowed: Range) -> Finding:
    """As `judge`, but an unusually low COD is a warning rather than a merit (IAAO Table 1-3, note)."""
    if value is not None and value < SUSPECT_COD:
        return Finding("not_established", "Unusually low: check for sales chasing")
    return judge(value, interval, allowed)
