"""The examples of `contracts/examples`, and the model that each is of."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from contracts.api.auth import LoginRequest, Me, RefreshRequest, Tokens
from contracts.api.base import Page
from contracts.api.jobs import Job, JobResult, RunRequest
from contracts.api.operations import ExportDefaults, ExportFormats, Status, SystemMetrics
from contracts.api.parcels import Neighborhood, Parcel, ParcelDetail, Sale
from contracts.api.problems import Problem
from contracts.api.sales_review import ReviewedSale, SaleDecisionRequest
from contracts.api.schedules import ScheduledJob, ScheduleRequest
from contracts.api.sync import SyncOperation, SyncPair, SyncRequest
from contracts.api.sync_state import (
    Approval,
    CertificateSummary,
    ConflictChoice,
    Decision,
    QuarantinedRow,
    SchemaChange,
    SyncCertificate,
    SyncConflict,
    SyncSignal,
    SyncTable,
    UndoRequest,
)
from contracts.api.valuation import ComparablesAnswer
from contracts.api.valuation_runs import (
    OverrideRequest,
    PostedReport,
    RunComparison,
    RunDecision,
    RunValue,
    ValuationRun,
    ValuationRunDetail,
    ValueOverride,
)
from contracts.county import County, CountyUser
from contracts.events.base import Event
from contracts.mapping import CountyMappings
from contracts.subjects import JobKind

FOLDER = Path(__file__).resolve().parents[2] / "contracts" / "examples"

#: folder of `api/` to the model of its bodies
BODIES: dict[str, type[BaseModel]] = {
    **{f"run-{kind.route}-request": RunRequest for kind in JobKind},
    "job": Job,
    "job-list": Page[Job],
    "job-results": JobResult,
    "problem": Problem,
    "login-request": LoginRequest,
    "login": Tokens,
    "refresh-request": RefreshRequest,
    "me": Me,
    "sync-request": SyncRequest,
    "sync-pairs": Page[SyncPair],
    "sync-operations": Page[SyncOperation],
    "sync-tables": Page[SyncTable],
    "sync-quarantine": Page[QuarantinedRow],
    "sync-certificates": Page[CertificateSummary],
    "sync-certificate": SyncCertificate,
    "sync-approvals": Page[Approval],
    "sync-decision": Decision,
    "sync-undo": UndoRequest,
    "sync-conflicts": Page[SyncConflict],
    "sync-conflict-choice": ConflictChoice,
    "sync-schema-changes": Page[SchemaChange],
    "sync-signal": SyncSignal,
    "valuation-runs": Page[ValuationRun],
    "valuation-run": ValuationRunDetail,
    "valuation-values": Page[RunValue],
    "valuation-comparison": RunComparison,
    "valuation-posted": PostedReport,
    "valuation-overrides": Page[ValueOverride],
    "valuation-override": ValueOverride,
    "valuation-override-request": OverrideRequest,
    "sales-review": Page[ReviewedSale],
    "sale-decision-request": SaleDecisionRequest,
    "valuation-decision": RunDecision,
    "schedule-request": ScheduleRequest,
    "schedule-list": Page[ScheduledJob],
    "schedule": ScheduledJob,
    "parcel-list": Page[Parcel],
    "parcel": ParcelDetail,
    "comparables": ComparablesAnswer,
    "sale-list": Page[Sale],
    "neighborhood-list": Page[Neighborhood],
    "export-formats": ExportFormats,
    "export-defaults": ExportDefaults,
    "status": Status,
    "system-metrics": SystemMetrics,
}
#: folder of `county/` to the shape of the file
COUNTY_FILES: dict[str, TypeAdapter[Any]] = {
    "county": TypeAdapter(County),
    "users": TypeAdapter(list[CountyUser]),
    "mappings": TypeAdapter(CountyMappings),
}


def paths(*, below: str | None = None) -> list[Path]:
    """The examples of events, or those below `api` or `county`."""
    if below is not None:
        return sorted((FOLDER / below).glob("*/*.json"))
    return sorted(path for path in FOLDER.glob("*/*.json") if path.parent.parent == FOLDER)


def name(path: Path) -> str:
    """How a test calls an example."""
    return f"{path.parent.name}/{path.stem}"


def read(path: Path) -> Any:
    """An example's content."""
    return json.loads(path.read_text())


def event_models() -> list[type[Event]]:
    """Every event that is published under a subject."""
    from clients.sdk.generate_contracts import models  # noqa: PLC0415 imports every contract

    return [model for model in models() if issubclass(model, Event) and model.subjects]
