"""What the valuation service does when it is asked."""

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, BinaryIO

from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from contracts.api.valuation import ValuationParameters
from contracts.api.valuation_runs import ValuationMode
from services.valuation import deciding, queries
from services.valuation.domain.inputs import input_sha256
from services.valuation.domain.mass import CountyModel
from services.valuation.domain.model_card import count_reasons, holdout, model_card
from services.valuation.domain.properties import Properties, properties
from services.valuation.evidence import Evidence, coded_refusals, read_evidence, use_codes
from services.valuation.fitting import fitted_county
from services.valuation.posting import post
from services.valuation.revising import revise
from services.valuation.run_plan import RunPlan, read_plan
from services.valuation.sales_review import decide_sale, review_sales
from services.valuation.settings import Settings
from services.valuation.value_lines import ValueLines
from services.valuation.valuing import batches_of, valued_batches

router = JobRouter()


@dataclass
class Outcome:
    """What valuing the scope gave so far, and by what."""

    evidence: Evidence
    model: CountyModel
    plan: RunPlan
    input_sha256: str
    lines: ValueLines = field(default_factory=ValueLines)
    refused: dict[str, str] = field(default_factory=dict)


@router.job("valuation", parameters=ValuationParameters)
async def run_valuation(job: RunningJob, parameters: ValuationParameters) -> None:
    """Values parcels, or does what a person decides of values: promotes, overrides, posts."""
    with coded_refusals():
        await _DOES[parameters.mode](job, parameters)


async def value_scope(job: RunningJob, parameters: ValuationParameters) -> None:
    """Value parcels from time-adjusted sales, with comparables, intervals and reasons for what has no value."""
    if parameters.base_run_id is not None:
        await revise(job, parameters, parameters.base_run_id)
        return
    with tempfile.TemporaryFile(prefix="valuation-") as values:
        evidence, parcels, plan = await _read(job, parameters)
        await job.progress(0, len(parcels), "parcels", "fitting the models")
        model = await fitted_county(
            job, evidence, set(parcels.kind.tolist()), parameters, processes_allowed=Settings().valuation_processes
        )
        outcome = Outcome(evidence, model, plan, await job.compute(input_sha256, evidence.sold, parcels))
        await _value(job, outcome, parcels, values)
        _refuse_unknown(outcome, parameters, parcels)
        await _complete(job, parameters, outcome, values)


async def _read(job: RunningJob, parameters: ValuationParameters) -> tuple[Evidence, Properties, RunPlan]:
    county = job.county_file
    async with job.database.read(job.county) as connection:
        evidence = await read_evidence(
            connection, county, tax_year=parameters.tax_year, valuation_date=parameters.valuation_date
        )
        frame = await queries.read_parcels(connection, job.county, parameters.parcels, evidence.attributes)
        if not frame.height:
            raise PermanentError("no_parcels_in_scope", "no active parcel is in the scope")
        plan = await read_plan(connection, job.county, parameters, tax_year=evidence.tax_year)
    return evidence, evidence.attributes.onto(properties(frame, use_codes=use_codes(county)), frame), plan


async def _value(job: RunningJob, outcome: Outcome, parcels: Properties, values: BinaryIO) -> None:
    batches = batches_of(parcels, outcome.plan)
    processes = Settings().valuation_processes
    async with aclosing(valued_batches(job, outcome.model, batches, processes=processes)) as valued:
        async for batch in valued:
            values.write(outcome.lines.add(batch.lines))
            outcome.refused |= batch.refused
            await job.progress(outcome.lines.valued + len(outcome.refused), len(parcels), "parcels", "valuing")
    values.seek(0)


def _refuse_unknown(outcome: Outcome, parameters: ValuationParameters, parcels: Properties) -> None:
    """A parcel that was asked for and is not in the record is listed, not forgotten."""
    asked = set(parameters.parcels.parcel_ids or ())
    outcome.refused |= dict.fromkeys(sorted(asked - set(parcels.parcel_id.tolist())), "parcel_unknown")


async def _complete(job: RunningJob, parameters: ValuationParameters, outcome: Outcome, values: BinaryIO) -> None:
    evidence, model = outcome.evidence, outcome.model
    card = model_card(model, sales_refused=evidence.refused, version=version("terrafusion"))
    card |= {"sale_decisions": evidence.decisions, "attributes": evidence.attributes.card()}
    run = {
        "run_id": job.id,
        "tax_year": evidence.tax_year,
        "valuation_date": evidence.valuation_date,
        "model": parameters.model,
        "parameters": parameters.model_dump(mode="json"),
        "model_card": card,
        "parcels_refused": len(outcome.refused),
        "input_sha256": outcome.input_sha256,
        **outcome.lines.counts,
        **outcome.plan.stamps(parameters, requested_by=job.requested_by),
    }
    async with job.completing(result=_summary(parameters, outcome)) as unit:
        await queries.save_run(unit.connection, job.county, run)
        await queries.save_values(unit.connection, job.county, job.id, values)
        await queries.save_refusals(unit.connection, job.county, job.id, outcome.refused)


def _summary(parameters: ValuationParameters, outcome: Outcome) -> dict[str, Any]:
    evidence, model = outcome.evidence, outcome.model
    return {
        **outcome.lines.counts,
        "parcels_refused": count_reasons(outcome.refused),
        "model": parameters.model,
        "tax_year": evidence.tax_year,
        "valuation_date": evidence.valuation_date.isoformat(),
        "sales_used": sum(len(kind.fitted.comparables.groundwork.sales) for kind in model.by_kind.values()),
        "sales_refused": evidence.refused,
        "holdout": holdout(model),
        "flags": dict(sorted(outcome.lines.flags.items())),
    }


_DOES: Mapping[ValuationMode, Callable[[RunningJob, ValuationParameters], Awaitable[None]]] = MappingProxyType(
    {
        "value": value_scope,
        "promote": deciding.promote,
        "approve": deciding.approve,
        "reject": deciding.reject,
        "override": deciding.override,
        "withdraw": deciding.withdraw,
        "post": post,
        "review_sales": review_sales,
        "decide_sale": decide_sale,
    }
)
