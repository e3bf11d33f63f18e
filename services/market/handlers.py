"""What the market service does when it is asked."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from appraisal.sale_screening import ScreeningRules
from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from contracts.api.market import MarketParameters, MarketStudy
from services.market import queries
from services.market.domain.study import MarketRefusedError, segments_asked, study_market

router = JobRouter()
PERIOD_YEARS = 5
NOMINAL_PRICE_USD = 1_000.0


@router.job("market", parameters=MarketParameters)
async def study(job: RunningJob, parameters: MarketParameters) -> None:
    """Study how prices moved: trend, index by month, level by neighbourhood, the mix of sales held constant."""
    await job.progress(0, 3, "steps", "reading sales")
    sales, rules = await _read(job, parameters)
    await job.progress(1, 3, "steps", f"studying {sales.height} sales")
    made = await job.compute(_study, job, parameters, sales, rules)
    await job.progress(2, 3, "steps", "storing the study")
    document = made.model_dump_json(indent=1).encode()
    await job.store("study.json", document, media_type="application/json")
    async with job.completing(result=_summary(made)) as unit:
        asked = parameters.model_dump(mode="json")
        await queries.save_study(unit.connection, job.county, job.id, study=made, parameters=asked)


async def _read(job: RunningJob, parameters: MarketParameters) -> tuple[pl.DataFrame, ScreeningRules]:
    """Sales of the period: by default the five years up to the newest sale."""
    async with job.database.read(job.county) as connection:
        to_date = parameters.to_date or await queries.read_newest_sale(
            connection, job.county, until=datetime.now(UTC).date()
        )
        if to_date is None:
            raise PermanentError("too_few_sales", "the county has no qualified sale", details={"sales": 0})
        from_date = parameters.from_date or date(to_date.year - PERIOD_YEARS, to_date.month, min(to_date.day, 28))
        sales = await queries.read_sales(connection, job.county, from_date=from_date, to_date=to_date)
    minimum = max(NOMINAL_PRICE_USD, job.county_file.sale_validity.minimum_price_usd)
    return sales, ScreeningRules(from_date=from_date, to_date=to_date, minimum_price_usd=minimum)


def _study(job: RunningJob, parameters: MarketParameters, sales: pl.DataFrame, rules: ScreeningRules) -> MarketStudy:
    county = job.county_file
    segments = segments_asked(
        parameters.segments, residential=county.residential_use_codes, vacant=county.vacant_use_codes
    )
    try:
        return study_market(sales, county=job.county, rules=rules, segments=segments)
    except MarketRefusedError as error:
        raise PermanentError(error.code, str(error), details=error.details) from error


def _summary(made: MarketStudy) -> dict[str, Any]:
    return {
        "months": made.months,
        "main_segment": made.main_segment,
        "monthly_trend_percent": made.monthly_trend_percent,
        "monthly_trend_interval": made.monthly_trend_interval,
        "sales_used": made.sales_used,
        "sales_refused": made.sales_refused,
        "segments": [
            {
                "segment": segment.segment,
                "sales": segment.sales,
                "monthly_trend_percent": segment.monthly_trend_percent,
                "reason": segment.reason,
            }
            for segment in made.segments
        ],
    }
