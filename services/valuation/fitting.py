"""Fits a county's models and finds out how good they are: the latter in a process of its own where sales are many."""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

from chassis.jobs import RunningJob
from contracts.api.valuation import ValuationParameters
from services.valuation.domain.evaluation import Accuracy
from services.valuation.domain.mass import CountyModel, evaluate_county, fit_county
from services.valuation.evidence import Evidence
from services.valuation.processes import processes

MANY_SALES = 2_000  # fewer are held out and valued before a further process is ready


async def fitted_county(
    job: RunningJob,
    evidence: Evidence,
    kinds: AbstractSet[str],
    parameters: ValuationParameters,
    *,
    processes_allowed: int,
) -> CountyModel:
    """The models of the kinds asked for, with their accuracy on held-out sales."""
    asked: dict[str, Any] = {
        "kinds": kinds,
        "model": parameters.model,
        "comparables": parameters.comparables,
        "valuation_date": evidence.valuation_date,
        "emphasis": job.county_file.comparables.by_aspect,
    }
    fit, evaluate = partial(fit_county, evidence.sold, **asked), partial(evaluate_county, evidence.sold, **asked)
    if processes_allowed == 1 or len(evidence.sold) < MANY_SALES:
        model = await job.compute(fit)
        accuracies: Mapping[str, Accuracy] = await job.compute(evaluate)
    else:
        async with processes(1) as pool:
            beside = asyncio.wrap_future(pool.submit(evaluate))
            model = await job.compute(fit)
            accuracies = await beside
    job.check()
    return model.proven(accuracies)
