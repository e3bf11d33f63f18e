"""What the market service does when it is asked."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from appraisal.sale_screening import ScreeningRules
from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from contracts.api.market import MarketParameters, MarketStudy
from services.market import queries
from services.market.domain.index_chart import draw_indices
from services.market.domain.refusal import MarketRefusedError
from services.market.domain.sales_map import map_sales
from services.market.domain.segments import segments_asked
from services.market.domain.study import Terms, study_market

router = JobRouter()
PERIOD_YEARS = 5
NOMINAL_PRICE_USD = 1_000.0


@dataclass(frozen=True)
class _Evidence:
    sales: pl.DataFrame
    parcels: pl.DataFrame
    rules: ScreeningRules


@dataclass(frozen=True)
class _Made:
    """The study and its files: name, content, media type."""

    study: MarketStudy
    files: list[tuple[str, bytes, str]]


@router.job("market", parameters=MarketParameters)
async def study(job: RunningJob, parameters: MarketParameters) -> None:
    """Study how prices moved: trend and indices by month, seasons, neighbourhoods; the mix of sales held constant."""
    await job.progress(0, 3, "steps", "reading sales")
    evidence = await _read(job, parameters)
    await job.progress(1, 3, "steps", f"studying {evidence.sales.height} sales")
    made = await job.compute(_study, job, parameters, evidence)
    await job.progress(2, 3, "steps", "storing the study")
    for name, content, media_type in made.files:
        await job.store(name, content, media_type=media_type)
    async with job.completing(result=_summary(made.study)) as unit:
        asked = parameters.model_dump(mode="json")
        await queries.save_study(unit.connection, job.county, job.id, study=made.study, parameters=asked)


async def _read(job: RunningJob, parameters: MarketParameters) -> _Evidence:
    """Sales of the period, by default the five years up to the newest sale; a sale after today counts for nothing."""
    today = datetime.now(UTC).date()
    async with job.database.read(job.county) as connection:
        to_date = parameters.to_date or await queries.read_newest_sale(connection, job.county, until=today)
        if to_date is None:
            raise PermanentError("too_few_sales", "the county has no qualified sale", details={"sales": 0})
        from_date = parameters.from_date or date(to_date.year - PERIOD_YEARS, to_date.month, min(to_date.day, 28))
        sales = await queries.read_sales(
            connection, job.county, scrutiny=job.county_file.sale_scrutiny, from_date=from_date, to_date=to_date
        )
        parcels = await queries.count_parcels(connection, job.county)
    minimum = max(NOMINAL_PRICE_USD, job.county_file.sale_validity.minimum_price_usd)
    rules = ScreeningRules(from_date=from_date, to_date=min(to_date, today), minimum_price_usd=minimum)
    return _Evidence(sales, parcels, rules)


def _study(job: RunningJob, parameters: MarketParameters, evidence: _Evidence) -> _Made:
    county = job.county_file
    segments = segments_asked(
        parameters.segments, residential=county.residential_use_codes, vacant=county.vacant_use_codes
    )
    terms = Terms(
        confidence=parameters.confidence,
        minimum_group_sales=parameters.minimum_group_sales,
        parcels=evidence.parcels,
    )
    try:
        made = study_market(evidence.sales, county=job.county, rules=evidence.rules, segments=segments, terms=terms)
    except MarketRefusedError as error:
        raise PermanentError(error.code, str(error), details=error.details) from error
    files = [("study.json", made.model_dump_json(indent=1).encode(), "application/json")]
    if (chart := draw_indices(made)) is not None:
        files.append(("index.svg", chart, "image/svg+xml"))
    if (points := map_sales(evidence.sales, rules=evidence.rules, segments=segments)) is not None:
        files.append(("sales.geojson", json.dumps(points, allow_nan=False).encode(), "application/geo+json"))
    return _Made(made, files)


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
