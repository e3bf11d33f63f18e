"""From a job's parameters to its document: reads what the report needs, then hands it to the domain."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from appraisal.errors import AppraisalError
from chassis.database import Connection
from chassis.errors import PermanentError
from contracts.api.reporting import AbstractOfValuesArguments, RatioStudyArguments, ReportArguments
from contracts.county import County
from services.reporting import queries
from services.reporting.domain.abstract_report import abstract_document
from services.reporting.domain.chasing import ChasingEvidence
from services.reporting.domain.document import Document, ReportContext
from services.reporting.domain.ratio_report import ratio_study_document
from services.reporting.domain.refusals import ReportRefusedError
from services.reporting.domain.wording import written_date


@dataclass(frozen=True, slots=True)
class ReportData:
    """The rows of one report and what is known of the record they came from."""

    rows: pl.DataFrame
    watermark: dict[str, Any]
    changes: pl.DataFrame | None = None

    def recorded_watermark(self) -> dict[str, Any]:
        """The watermark as JSON values."""
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in self.watermark.items()}


async def read_report_data(connection: Connection, county_file: County, arguments: ReportArguments) -> ReportData:
    """Everything the report needs, from one consistent picture of the county.

    Raises:
        PermanentError: `run_unknown` where the named valuation run has no values in this county.
    """
    county = county_file.county
    watermark = await queries.read_watermark(connection, county)
    if isinstance(arguments, AbstractOfValuesArguments):
        return ReportData(await queries.read_parcels(connection, county, arguments), watermark)
    sales = await queries.read_sales(connection, county, arguments, scrutiny=county_file.sale_scrutiny)
    if arguments.value_source == "assessed":
        return ReportData(sales, watermark, await queries.read_value_changes(connection, county, arguments))
    values = await _read_values(connection, county, arguments)
    estimates = pl.Series("estimate_usd", list(map(values.get, sales["parcel_id"])), dtype=pl.Float64)
    return ReportData(sales.with_columns(estimates), watermark)


async def _read_values(connection: Connection, county: str, arguments: RatioStudyArguments) -> Mapping[str, float]:
    if arguments.run_id is None:
        return await queries.read_latest_values(connection, county)
    values = await queries.read_run_values(connection, county, arguments.run_id)
    if not values:
        raise PermanentError(
            "run_unknown",
            f"{county} has no valuation run {arguments.run_id}",
            details={"run_id": str(arguments.run_id)},
        )
    return values


def compose(data: ReportData, arguments: ReportArguments, context: ReportContext) -> Document:
    """The report's document.

    Raises:
        PermanentError: the rows do not carry the report (`too_few_sales`, `no_parcels`).
    """
    try:
        if isinstance(arguments, AbstractOfValuesArguments):
            return abstract_document(data.rows, arguments, context)
        return ratio_study_document(data.rows, arguments, context, evidence=_evidence(data, context))
    except ReportRefusedError as refusal:
        raise PermanentError(refusal.code, str(refusal), details=refusal.details) from refusal
    except AppraisalError as refusal:
        raise PermanentError(refusal.code, str(refusal)) from refusal


def _evidence(data: ReportData, context: ReportContext) -> ChasingEvidence:
    """The roll is as of 1 January of its year; of a run's values, that learn from sales, no such day is known."""
    year = data.watermark["tax_year"]
    is_roll = data.changes is not None and year is not None
    return ChasingEvidence(
        level=context.legal_assessment_level, roll_date=date(year, 1, 1) if is_roll else None, changes=data.changes
    )


def context_of(county: County, definition_hash: str, watermark: Mapping[str, Any]) -> ReportContext:
    """What the report says of its own making."""
    return ReportContext(
        county_name=county.name,
        state=county.state,
        office=county.reports.assessor_office,
        generated_at=datetime.now(UTC).replace(microsecond=0),
        definition_hash=definition_hash,
        watermark=_labelled(watermark),
        legal_assessment_level=county.reports.legal_assessment_level,
    )


def _labelled(watermark: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return (
        ("Roll", f"tax year {watermark['tax_year']}" if watermark["tax_year"] else "no parcels"),
        ("Record last changed", _day(watermark["changed_at"])),
        ("Parcels in the record", f"{watermark['parcels']:,}"),
        ("Sales in the record", f"{watermark['sales']:,}"),
        ("Last recorded sale", _day(watermark["last_sale_date"])),
    )


def _day(day: date | datetime | None) -> str:
    return "never" if day is None else written_date(day)
