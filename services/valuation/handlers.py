"""What the valuation service does when it is asked."""

import csv
import io
import json
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, BinaryIO

import numpy as np

from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from contracts.api.valuation import ValuationParameters
from services.valuation import queries
from services.valuation.domain.mass import CountyModel, ValuedParcels, fit_county, value_parcels
from services.valuation.domain.model_card import count_reasons, holdout, model_card
from services.valuation.domain.properties import Properties, properties
from services.valuation.evidence import Evidence, coded_refusals, read_evidence, use_codes

router = JobRouter()
BATCH_PARCELS = 2_000


@dataclass
class Outcome:
    """What valuing the scope gave so far, and by what."""

    evidence: Evidence
    model: CountyModel
    valued: int = 0
    total_value_usd: float = 0.0
    refused: dict[str, str] = field(default_factory=dict)


@router.job("valuation", parameters=ValuationParameters)
async def value_scope(job: RunningJob, parameters: ValuationParameters) -> None:
    """Value parcels from time-adjusted sales, with comparables, intervals and reasons for what has no value."""
    with coded_refusals(), tempfile.TemporaryFile(prefix="valuation-") as values:
        evidence, parcels = await _read(job, parameters)
        await job.progress(0, len(parcels), "parcels", "fitting the models")
        model = await job.compute(
            fit_county,
            evidence.sold,
            kinds=set(parcels.kind.tolist()),
            model=parameters.model,
            comparables=parameters.comparables,
            valuation_date=evidence.valuation_date,
        )
        outcome = Outcome(evidence, model)
        await _value(job, outcome, parcels, values)
        _refuse_unknown(outcome, parameters, parcels)
        await _complete(job, parameters, outcome, values)


async def _read(job: RunningJob, parameters: ValuationParameters) -> tuple[Evidence, Properties]:
    county = job.county_file
    async with job.database.read(job.county) as connection:
        frame = await queries.read_parcels(connection, job.county, parameters.scope)
        if not frame.height:
            raise PermanentError("no_parcels_in_scope", "no active parcel is in the scope")
        evidence = await read_evidence(
            connection, county, tax_year=parameters.tax_year, valuation_date=parameters.valuation_date
        )
    return evidence, properties(frame, use_codes=use_codes(county))


async def _value(job: RunningJob, outcome: Outcome, parcels: Properties, values: BinaryIO) -> None:
    """Value batch by batch, so that memory stays bounded and the job can stop between batches."""
    for start in range(0, len(parcels), BATCH_PARCELS):
        batch = parcels.take(np.arange(start, min(start + BATCH_PARCELS, len(parcels))))
        valued = await job.compute(_value_batch, job, outcome.model, batch, values)
        outcome.valued += len(valued.values)
        outcome.total_value_usd += sum(row["value_usd"] for row in valued.values)
        outcome.refused |= valued.refused
        await job.progress(start + len(batch), len(parcels), "parcels", "valuing")
    values.seek(0)


def _value_batch(job: RunningJob, model: CountyModel, batch: Properties, values: BinaryIO) -> ValuedParcels:
    valued = value_parcels(model, batch)
    text = io.StringIO()
    lines = csv.writer(text)
    for row in valued.values:
        known = {**row, "county": job.county, "run_id": job.id}
        known |= {name: json.dumps(row[name]) for name in ("contributions", "comparables")}
        lines.writerow(known[name] for name in queries.VALUE_COLUMNS)
    values.write(text.getvalue().encode())
    return valued


def _refuse_unknown(outcome: Outcome, parameters: ValuationParameters, parcels: Properties) -> None:
    """A parcel that was asked for and is not in the record is listed, not forgotten."""
    asked = set(parameters.scope.parcel_ids or ())
    outcome.refused |= dict.fromkeys(sorted(asked - set(parcels.parcel_id.tolist())), "parcel_unknown")


async def _complete(job: RunningJob, parameters: ValuationParameters, outcome: Outcome, values: BinaryIO) -> None:
    evidence, model = outcome.evidence, outcome.model
    card = model_card(model, sales_refused=evidence.refused, version=version("terrafusion"))
    run = {
        "run_id": job.id,
        "tax_year": evidence.tax_year,
        "valuation_date": evidence.valuation_date,
        "model": parameters.model,
        "parameters": parameters.model_dump(mode="json"),
        "model_card": card,
        "parcels_valued": outcome.valued,
        "parcels_refused": len(outcome.refused),
    }
    async with job.completing(result=_summary(parameters, outcome)) as unit:
        await queries.save_run(unit.connection, job.county, run)
        await queries.save_values(unit.connection, job.county, values)
        await queries.save_refusals(unit.connection, job.county, job.id, outcome.refused)


def _summary(parameters: ValuationParameters, outcome: Outcome) -> dict[str, Any]:
    evidence, model = outcome.evidence, outcome.model
    return {
        "parcels_valued": outcome.valued,
        "parcels_refused": count_reasons(outcome.refused),
        "model": parameters.model,
        "tax_year": evidence.tax_year,
        "valuation_date": evidence.valuation_date.isoformat(),
        "sales_used": sum(len(kind.fitted.comparables.groundwork.sales) for kind in model.by_kind.values()),
        "sales_refused": evidence.refused,
        "holdout": holdout(model),
        "total_value_usd": round(outcome.total_value_usd, 2),
    }
