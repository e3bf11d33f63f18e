"""Runs and the values of persons, for programs: `Valuations(TerraFusion(url).login(...))`."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from clients.sdk.client import TerraFusion
from contracts.api.jobs import Job
from contracts.api.valuation_runs import (
    PostedParcel,
    PostedReport,
    RunComparison,
    RunValue,
    ValuationRun,
    ValuationRunDetail,
    ValueOverride,
)

Id = UUID | str
_ROOT = "/api/v1/valuation"
_PAGE = 500


class Valuations:
    """What one caller may see and decide of a gateway's valuations; what decides is a job, to be waited for."""

    def __init__(self, client: TerraFusion) -> None:
        self.client = client

    def runs(self, **filters: Any) -> Iterator[ValuationRun]:
        """Runs, the newest first; by `county`, `tax_year`, `model`, `is_what_if`."""
        return (ValuationRun.model_validate(item) for item in self._all("/runs", filters))

    def run(self, run_id: Id) -> ValuationRunDetail:
        """One run with its stamps, and what became of it."""
        return ValuationRunDetail.model_validate(self.client.request("GET", f"{_ROOT}/runs/{run_id}"))

    def values(self, run_id: Id, **filters: Any) -> Iterator[RunValue]:
        """A run's values by parcel; by `flag`, `is_flagged`, `neighborhood`, `use_code`, `parcel_id`."""
        return (RunValue.model_validate(item) for item in self._all(f"/runs/{run_id}/values", filters))

    def compare(self, run_id: Id, other_run_id: Id, *, movers: int = 20) -> RunComparison:
        """How the other run's values differ."""
        path = f"{_ROOT}/runs/{run_id}/compare/{other_run_id}"
        return RunComparison.model_validate(self.client.request("GET", path, params={"movers": movers}))

    def promote(self, run_id: Id, *, reason: str | None = None, idempotency_key: str | None = None) -> Job:
        """Ask for a run to be the roll; another person has to approve."""
        return self._do(f"/runs/{run_id}/promote", _because(reason), idempotency_key)

    def approve(self, run_id: Id, *, reason: str | None = None, idempotency_key: str | None = None) -> Job:
        """Let a run be the roll that another person asked for."""
        return self._do(f"/runs/{run_id}/approve", _because(reason), idempotency_key)

    def reject(self, run_id: Id, *, reason: str | None = None, idempotency_key: str | None = None) -> Job:
        """Say no to a run that somebody asked for."""
        return self._do(f"/runs/{run_id}/reject", _because(reason), idempotency_key)

    def post(self, run_id: Id, *, idempotency_key: str | None = None) -> Job:
        """Write an approved run's value file; it is the job's first artifact."""
        return self._do(f"/runs/{run_id}/post", None, idempotency_key)

    def posted(self, run_id: Id, *, status: str | None = None, limit: int = 100) -> PostedReport:
        """What came back of a posted run, with the first parcels."""
        query = {"limit": limit, **({"status": status} if status else {})}
        return PostedReport.model_validate(self.client.request("GET", f"{_ROOT}/runs/{run_id}/posted", params=query))

    def posted_parcels(self, run_id: Id, *, status: str | None = None) -> Iterator[PostedParcel]:
        """What came back of a posted run, parcel by parcel."""
        found = self._all(f"/runs/{run_id}/posted", {"status": status})
        return (PostedParcel.model_validate(item) for item in found)

    def overrides(self, **filters: Any) -> Iterator[ValueOverride]:
        """Values of persons, the newest first; by `county`, `parcel_id`, `tax_year`, `is_active`."""
        return (ValueOverride.model_validate(item) for item in self._all("/overrides", filters))

    def override(
        self,
        county: str,
        parcel_id: str,
        value_usd: float,
        *,
        reason: str,
        land_value_usd: float | None = None,
        tax_year: int | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Give a parcel a person's value, beside the model's."""
        said = {"land_value_usd": land_value_usd, "tax_year": tax_year}
        body = {"county": county, "parcel_id": parcel_id, "value_usd": value_usd, "reason": reason}
        body |= {name: value for name, value in said.items() if value is not None}
        return self._do("/overrides", body, idempotency_key)

    def withdraw(self, override_id: Id, *, reason: str | None = None, idempotency_key: str | None = None) -> Job:
        """Take a person's value back."""
        return self._do(f"/overrides/{override_id}/withdraw", _because(reason), idempotency_key)

    def _do(self, path: str, body: Mapping[str, Any] | None, key: str | None) -> Job:
        headers = {"Idempotency-Key": key} if key else {}
        return Job.model_validate(self.client.request("POST", f"{_ROOT}{path}", json=body, headers=headers))

    def _all(self, path: str, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        query = {"limit": _PAGE, **{name: value for name, value in filters.items() if value is not None}}
        while True:
            page = self.client.request("GET", f"{_ROOT}{path}", params=query)
            yield from page["items"]
            if page["next"] is None:
                return
            query["cursor"] = page["next"]


def _because(reason: str | None) -> dict[str, str]:
    return {"reason": reason} if reason else {}
