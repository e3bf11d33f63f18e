"""A what-if on a frozen run: its values through other factors, caps and limits, without valuing anew."""

import tempfile
from typing import Any, BinaryIO
from uuid import UUID

import asyncpg

from chassis.errors import PermanentError
from chassis.jobs import RunningJob
from contracts.api.valuation import OF_THE_BASE, ValuationParameters
from services.valuation import queries, run_queries
from services.valuation.code_version import code_version
from services.valuation.deciding import require_run
from services.valuation.domain.documents import in_name_order
from services.valuation.domain.model_card import count_reasons
from services.valuation.domain.runs import RunRules, Standing, finish
from services.valuation.value_lines import ValueLines, encode_values

BATCH_PARCELS = 5_000


async def revise(job: RunningJob, parameters: ValuationParameters, base_run_id: UUID) -> None:
    """Make a run of another one's values; whatever its model said, of which data, is that of its base."""
    lines = ValueLines()
    with tempfile.TemporaryFile(prefix="valuation-") as values:
        async with job.database.read(job.county) as connection:
            base = await require_run(connection, job.county, base_run_id)
            _require_plain(base)
            refused = await run_queries.read_refused(connection, job.county, base_run_id, parameters.parcels)
            async for rows in run_queries.read_values(
                connection, job.county, base_run_id, parameters.parcels, batch_parcels=BATCH_PARCELS
            ):
                await job.compute(_revise_batch, lines, rows, _rules(parameters), values)
                await job.progress(lines.valued, base["parcels_valued"], "parcels", "revising")
        if not lines.valued:
            raise PermanentError("no_parcels_in_scope", "the base run has no value in the scope")
        values.seek(0)
        await _complete(job, parameters, base, lines=lines, values=values, refused=refused)


def _require_plain(base: asyncpg.Record) -> None:
    """Factors and caps are of the model's values: laid on others of their kind they would say something else."""
    if base["is_what_if"] or base["parameters"].get("caps"):
        raise PermanentError(
            "base_run_not_plain", f"run {base['run_id']} has factors or caps itself: name the run that it was made of"
        )


def _rules(parameters: ValuationParameters) -> RunRules:
    return RunRules(parameters.factors, parameters.caps, parameters.review)


def _revise_batch(lines: ValueLines, rows: list[asyncpg.Record], rules: RunRules, values: BinaryIO) -> None:
    standing = (Standing(row["neighborhood"], row["use_code"], row["prior_value_usd"]) for row in rows)
    told = ({**row, "comparables": in_name_order(row["comparables"])} for row in rows)
    finished = (finish(row, where, rules) for row, where in zip(told, standing, strict=True))
    values.write(lines.add(encode_values(finished)))


async def _complete(
    job: RunningJob,
    parameters: ValuationParameters,
    base: asyncpg.Record,
    *,
    lines: ValueLines,
    values: BinaryIO,
    refused: dict[str, str],
) -> None:
    of_base = ("tax_year", "valuation_date", "model", "model_card", "prior_basis", "snapshot", "input_sha256")
    run: dict[str, Any] = {
        **{name: base[name] for name in of_base},
        **lines.counts,
        "run_id": job.id,
        "parameters": {**base["parameters"], **parameters.model_dump(mode="json", exclude=set(OF_THE_BASE))},
        "parcels_refused": len(refused),
        "requested_by": job.requested_by,
        "is_what_if": bool(parameters.factors),
        "code_version": code_version(),
    }
    result = {
        **lines.counts,
        "parcels_refused": count_reasons(refused),
        "model": base["model"],
        "tax_year": base["tax_year"],
        "valuation_date": base["valuation_date"].isoformat(),
        "flags": dict(sorted(lines.flags.items())),
        "base_run_id": str(base["run_id"]),
    }
    async with job.completing(result) as unit:
        await queries.save_run(unit.connection, job.county, run)
        await queries.save_values(unit.connection, job.county, job.id, values)
        await queries.save_refusals(unit.connection, job.county, job.id, refused)
