"""What a run does to the model's values, and the stamps that it carries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chassis.database import Connection
from contracts.api.valuation import ValuationParameters
from contracts.api.valuation_runs import PriorBasis
from services.valuation import run_queries
from services.valuation.code_version import code_version
from services.valuation.domain.runs import RunRules, Standing, choose_basis, finish, prior_usd

_NOWHERE = Standing()


@dataclass(frozen=True)
class RunPlan:
    """The rules of a run and what it lays values beside, all of one picture of the record."""

    rules: RunRules
    basis: PriorBasis
    standing: Mapping[str, Standing]
    snapshot: list[dict[str, Any]]

    def of(self, parcel_ids: Iterable[str]) -> "RunPlan":
        """The plan for these parcels alone, small enough to be sent to another process; no stamps can be made of it."""
        standing = {parcel: self.standing[parcel] for parcel in parcel_ids if parcel in self.standing}
        return replace(self, standing=standing, snapshot=[])

    def finish(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The run's rows of the model's."""
        return [finish(row, self.standing.get(row["parcel_id"], _NOWHERE), self.rules) for row in rows]

    def stamps(self, parameters: ValuationParameters, *, requested_by: str) -> dict[str, Any]:
        """What says of a run by whom, from which data and by which code it was made."""
        return {
            "requested_by": requested_by,
            "is_what_if": bool(parameters.factors),
            "prior_basis": self.basis,
            "code_version": code_version(),
            "snapshot": self.snapshot,
        }


async def read_plan(connection: Connection, county: str, parameters: ValuationParameters, *, tax_year: int) -> RunPlan:
    """The plan of a `value` job, read in the transaction that reads its sales and parcels."""
    rows = await run_queries.read_standing(connection, county, parameters.parcels)
    has_prior_year = any(row["prior_total_value_usd"] for row in rows)
    basis = choose_basis(parameters.prior_value, has_prior_year=has_prior_year)
    standing = {
        row["parcel_id"]: Standing(
            row["neighborhood"],
            row["use_code"],
            prior_usd(
                basis,
                run_year=tax_year,
                layer_year=row["tax_year"],
                total_usd=row["total_value_usd"],
                prior_year_usd=row["prior_total_value_usd"],
            ),
        )
        for row in rows
    }
    rules = RunRules(parameters.factors, parameters.caps, parameters.review)
    return RunPlan(rules, basis, standing, await run_queries.read_snapshot(connection, county))
