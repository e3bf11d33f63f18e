"""What a county allows and takes for granted in GIS exports."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from chassis.counties import load_county
from contracts.api.operations import ExportDefaults, ExportFormats
from contracts.subjects import JobKind
from services.gateway.access import CurrentCaller, require
from services.gateway.answers import answer
from services.gateway.domain.permissions import read
from services.gateway.state import gateway_of

router = APIRouter(prefix="/api/v1/gis-export", tags=["gis-export"])


@router.get("/formats/{county}", response_model=ExportFormats, summary="A county's file formats")
async def formats(request: Request, caller: CurrentCaller, county: str) -> Response:
    """The formats that exports of the county may have."""
    gateway = gateway_of(request)
    require(gateway, caller, county, permission=read(JobKind.GIS_EXPORT))
    settings = load_county(gateway.counties_dir, county).gis_export
    allowed = list(settings.formats)
    return answer(ExportFormats(county=county, formats=allowed, default_format=settings.default_format))


@router.get("/defaults/{county}", response_model=ExportDefaults, summary="A county's export defaults")
async def defaults(request: Request, caller: CurrentCaller, county: str) -> Response:
    """What an export takes for what it is not asked."""
    gateway = gateway_of(request)
    require(gateway, caller, county, permission=read(JobKind.GIS_EXPORT))
    county_file = load_county(gateway.counties_dir, county)
    settings = county_file.gis_export
    return answer(
        ExportDefaults(
            county=county,
            format=settings.default_format,
            crs=settings.default_crs or f"EPSG:{county_file.epsg}",
            fields={layer: list(fields) for layer, fields in settings.default_fields.items()},
        )
    )
