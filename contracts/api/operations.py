"""What operators ask the gateway: how the platform is, and what a county allows."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contracts.api.base import Answer
from contracts.api.gis_export import GisExportFormat, Layer
from contracts.api.sync import SyncOperation

State = Literal["ok", "unavailable"]


class Status(Answer):
    """How the platform is as a whole; jobs are those of the counties that the caller may see."""

    status: Literal["ok", "degraded"]
    version: str
    time: datetime
    database: State
    bus: State
    counties: list[str]
    jobs: dict[str, int] = Field(description="how many jobs there are in each status")


class SystemMetrics(Answer):
    """Figures of the gateway's machine and process, and of what waits."""

    time: datetime
    uptime_seconds: float
    processors: int
    load_average: list[float] = Field(description="over 1, 5 and 15 minutes")
    memory_bytes: int = Field(description="the largest resident size of the process so far")
    outbox_events: int = Field(description="events that wait to be published")
    outbox_lag_seconds: float
    jobs: dict[str, int]
    latest_operations: list[SyncOperation]


class ExportFormats(Answer):
    """The file formats that a county hands out."""

    county: str
    formats: list[GisExportFormat]
    default_format: GisExportFormat


class ExportDefaults(Answer):
    """What an export of a county takes for what is not asked."""

    county: str
    format: GisExportFormat
    crs: str = Field(examples=["EPSG:2927"])
    fields: dict[Layer, list[str]] = Field(description="by layer; a layer that is missing exports every public field")
