"""A market study of a county's sales: segments, and for each its trend, months and neighbourhoods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from appraisal.distributions import student_t_two_sided
from appraisal.errors import AppraisalError
from appraisal.price_trend import MonthIndex, PriceTrend, price_trend
from appraisal.sale_screening import ScreeningRules, screen_sales
from contracts.api.market import IndexPoint, MarketSegment, MarketStudy, NeighborhoodMarket
from services.market.domain.mix import FloatArray, Mix, learn_mix

CONFIDENCE = 0.95
MINIMUM_SALES = 30
MINIMUM_MONTH_SALES = 5
MINIMUM_NEIGHBORHOOD_SALES = 10


class MarketRefusedError(Exception):
    """Raised where no study can be made; `code` is stable, `details` holds the counts behind it."""

    def __init__(self, code: str, message: str, details: Mapping[str, object]) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details)


@dataclass(frozen=True)
class Segment:
    """A part of the market: sales whose use code begins with one of `begins` and none of `but_not`."""

    name: str
    begins: tuple[str, ...]
    but_not: tuple[str, ...] = ()


def segments_asked(names: Sequence[str] | None, *, residential: Sequence[str], vacant: Sequence[str]) -> list[Segment]:
    """The segments of these names, by the county's use codes; without names those of every kind.

    A county file without use codes has one segment, `all`.
    """
    groups = {
        "improved_residential": Segment("improved_residential", tuple(residential)),
        "vacant_land": Segment("vacant_land", tuple(vacant)),
        "other": Segment("other", ("",), (*residential, *vacant)),
    }
    if names is not None:
        return [groups.get(name, Segment(name, (name,))) for name in dict.fromkeys(names)]
    return list(groups.values()) if residential or vacant else [Segment("all", ("",))]


def study_market(
    sales: pl.DataFrame, *, county: str, rules: ScreeningRules, segments: Sequence[Segment]
) -> MarketStudy:
    """The study of sales in the period; sales in none of the segments are in no part of it.

    Refuses (`too_few_sales`) fewer than 30 usable sales, with the counts of those refused, and segments that
    have none.
    """
    kept, refused = screen_sales(sales, rules)
    if kept.height < MINIMUM_SALES:
        raise MarketRefusedError(
            "too_few_sales",
            f"{kept.height} usable sales in the period; a study needs at least {MINIMUM_SALES}",
            {"sales": kept.height, "needed": MINIMUM_SALES, "refused": refused},
        )
    found = [_segment(segment.name, _of_segment(kept, segment)) for segment in segments]
    main = max(found, key=lambda segment: segment.sales)
    if not main.sales:
        raise MarketRefusedError(
            "too_few_sales",
            "no segment that was asked for has a usable sale",
            {"segments": [segment.name for segment in segments], "sales": 0, "refused": refused},
        )
    return MarketStudy(
        county=county,
        from_date=rules.from_date,
        to_date=rules.to_date,
        sales_used=sum(segment.sales for segment in found),
        sales_refused=refused,
        months=len(main.months),
        main_segment=main.segment,
        monthly_trend_percent=main.monthly_trend_percent,
        monthly_trend_interval=main.monthly_trend_interval,
        segments=found,
    )


def _of_segment(sales: pl.DataFrame, segment: Segment) -> pl.DataFrame:
    codes = [code or "" for code in sales["use_code"].cast(pl.String).to_list()]
    belongs = [code.startswith(segment.begins) and not code.startswith(segment.but_not) for code in codes]
    return sales.filter(pl.Series(belongs, dtype=pl.Boolean))


def _segment(name: str, sales: pl.DataFrame) -> MarketSegment:
    reason, trend, mix = None, None, None
    if sales.height >= MINIMUM_SALES:
        mix = learn_mix(sales)
        trend, reason = _trend(mix, mix.usable, mix.controls)
    else:
        reason = "too_few_sales"
    return MarketSegment(
        segment=name,
        sales=sales.height,
        sales_unexplained=0 if mix is None else int((~mix.usable).sum()),
        reason=reason,
        monthly_trend_percent=trend.monthly_trend_percent if trend else None,
        monthly_trend_interval=trend.monthly_trend_percent_interval if trend else None,
        median_price_usd=_median(sales["sale_price_usd"]),
        median_price_per_sqft_usd=_median(_per_sqft(sales)),
        months=_months(sales, trend),
        neighborhoods=_neighborhoods(sales, mix, trend),
    )


def _trend(
    mix: Mix, rows: np.ndarray[tuple[int], np.dtype[np.bool_]], controls: FloatArray
) -> tuple[PriceTrend | None, str | None]:
    try:
        return (
            price_trend(
                mix.price_usd[rows],
                mix.month[rows],
                controls[rows],
                confidence=CONFIDENCE,
                minimum_sales=MINIMUM_SALES,
                minimum_sales_per_month=MINIMUM_MONTH_SALES,
            ),
            None,
        )
    except AppraisalError as error:
        return None, error.code


def _months(sales: pl.DataFrame, trend: PriceTrend | None) -> list[IndexPoint]:
    """Every month from the first sale to the last, also those without sales."""
    if not sales.height:
        return []
    by_month = {
        (day.year, day.month): group
        for (day,), group in sales.group_by(pl.col("sale_date").dt.truncate("1mo"))
        if isinstance(day, date)
    }
    index = {month.month: month for month in trend.months} if trend else {}
    first, last = (12 * year + month - 1 for year, month in (min(by_month), max(by_month)))
    points = []
    for number in range(first, last + 1):
        year, month = divmod(number, 12)
        group = by_month.get((year, month + 1), sales.clear())
        points.append(_point(date(year, month + 1, 1), group, index.get(number - 12 * 1970)))
    return points


def _point(month: date, sales: pl.DataFrame, level: MonthIndex | None) -> IndexPoint:
    known = level is not None and level.index is not None
    return IndexPoint(
        month=month,
        index=level.index if level else None,
        interval=level.interval if level else None,
        reason=None if known else f"fewer than {MINIMUM_MONTH_SALES} usable sales",
        sales=sales.height,
        median_price_usd=_median(sales["sale_price_usd"]),
        median_price_per_sqft_usd=_median(_per_sqft(sales)),
    )


def _neighborhoods(sales: pl.DataFrame, mix: Mix | None, trend: PriceTrend | None) -> list[NeighborhoodMarket]:
    """Level and trend of each neighbourhood; the level is against the segment's average of 100."""
    named = sales.with_columns(pl.col("neighborhood").fill_null(""))
    left = _time_and_mix_free(mix, trend) if mix and trend else None
    found = []
    for (name,), group in sorted(named.group_by("neighborhood"), key=lambda pair: str(pair[0])):
        if name == "":
            continue
        level, own = None, None
        reason: str | None = "too_few_sales"
        if mix is not None and left is not None:
            rows = mix.usable & (mix.neighborhood == name)
            level = _level(left[rows], float(np.mean(left[mix.usable])))
            own, reason = _trend(mix, rows, mix.expected[:, None]) if rows.sum() else (None, reason)
        found.append(_neighborhood(str(name), group, level, own, reason))
    return found


def _time_and_mix_free(mix: Mix, trend: PriceTrend) -> FloatArray:
    """Log prices less what characteristics and the segment's trend say."""
    drift = np.log1p(trend.monthly_trend_percent / 100) * (mix.month - mix.month.mean())
    return np.asarray(np.log(mix.price_usd) - mix.expected - drift, dtype=float)


def _level(left: FloatArray, average: float) -> tuple[float, float, float] | None:
    """Level, low and high end against 100; None below ten sales."""
    n = len(left)
    if n < MINIMUM_NEIGHBORHOOD_SALES:
        return None
    reach = student_t_two_sided(CONFIDENCE, degrees=n - 1) * float(np.std(left, ddof=1)) / np.sqrt(n)
    middle = float(np.mean(left)) - average
    return tuple(100 * float(np.exp(at)) for at in (middle, middle - reach, middle + reach))  # type: ignore[return-value]


def _neighborhood(
    name: str,
    sales: pl.DataFrame,
    level: tuple[float, float, float] | None,
    trend: PriceTrend | None,
    reason: str | None,
) -> NeighborhoodMarket:
    return NeighborhoodMarket(
        neighborhood=name,
        sales=sales.height,
        level=level[0] if level else None,
        level_interval=level[1:] if level else None,
        monthly_trend_percent=trend.monthly_trend_percent if trend else None,
        monthly_trend_interval=trend.monthly_trend_percent_interval if trend else None,
        reason=reason,
        median_price_usd=_median(sales["sale_price_usd"]),
        median_price_per_sqft_usd=_median(_per_sqft(sales)),
    )


def _per_sqft(sales: pl.DataFrame) -> pl.Series:
    """Price per square foot of living area, of sales where it is known."""
    with_area = sales.filter(pl.col("living_area_sqft").cast(pl.Float64) > 0)
    return with_area["sale_price_usd"] / with_area["living_area_sqft"].cast(pl.Float64)


def _median(values: pl.Series) -> float | None:
    found = values.median()
    return round(float(found), 2) if isinstance(found, (int, float)) else None
