"""What each kind of job may be asked with: the one table that a new kind is entered in."""

from pydantic import BaseModel

from contracts.api.gis_export import GisExportParameters
from contracts.api.market import MarketParameters
from contracts.api.reporting import ReportingParameters
from contracts.api.sync import SyncParameters
from contracts.api.valuation import ValuationParameters
from contracts.subjects import JobKind

PARAMETERS: dict[JobKind, type[BaseModel]] = {
    JobKind.VALUATION: ValuationParameters,
    JobKind.MARKET: MarketParameters,
    JobKind.REPORTING: ReportingParameters,
    JobKind.GIS_EXPORT: GisExportParameters,
    JobKind.SYNC: SyncParameters,
}
