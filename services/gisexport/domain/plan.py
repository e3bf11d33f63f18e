"""The plan of one export: everything decided before the first row is read."""

from dataclasses import dataclass

from contracts.api.gis_export import BoundingBox, Filters, GisExportParameters, GisExportSettings, Layer
from contracts.catalog import DATASETS, CatalogField, Dataset, DataType
from services.gisexport.domain.crs import WGS84, Reprojection, crs_code, parse_crs, plan_reprojection
from services.gisexport.domain.filters import Condition, compile_filters, find_field
from services.gisexport.domain.formats import FORMATS, FormatRules, WrittenType
from services.gisexport.domain.refusal import ExportRefusedError

# Not wanted in most deliverables, and updated_at loses its microseconds in most formats.
_NOT_BY_DEFAULT = {"attributes", "updated_at"}


@dataclass(frozen=True)
class ColumnPlan:
    """One catalogue field and how it will stand in the file."""

    field: CatalogField
    written_name: str
    written_type: WrittenType


@dataclass(frozen=True)
class ExportPlan:
    """What will be written; parcels are polygons in the county's CRS, sales are points in EPSG:4326."""

    county: str
    layer: Layer
    dataset: Dataset
    rules: FormatRules
    columns: tuple[ColumnPlan, ...]
    reprojection: Reprojection
    geometry_type: str
    conditions: tuple[Condition, ...]
    filters: Filters
    bbox: BoundingBox | None
    strict: bool

    @property
    def stem(self) -> str:
        """First part of every file's name."""
        return f"{self.county}_{self.layer}"


def plan_export(
    parameters: GisExportParameters, settings: GisExportSettings, *, county: str, county_crs: str
) -> ExportPlan:
    """Decide format, CRS, columns and conditions.

    Errors: `format_not_allowed`, `crs_unknown`, `crs_not_supported`, `crs_outside_area`,
    `crs_not_allowed_for_format`, `field_unknown`, `field_repeated`, `filter_invalid`.
    """
    wanted = parameters.format or settings.default_format
    if wanted not in settings.formats:
        details = {"format": wanted, "allowed": list(settings.formats)}
        raise ExportRefusedError("format_not_allowed", f"{county} does not export {wanted}", details=details)
    rules, dataset = FORMATS[wanted], DATASETS[parameters.layer]
    is_sales = parameters.layer == "sales"
    return ExportPlan(
        county=county,
        layer=parameters.layer,
        dataset=dataset,
        rules=rules,
        columns=_plan_columns(parameters, settings, rules=rules, dataset=dataset),
        reprojection=_plan_crs(
            parameters.crs,
            rules,
            source=WGS84 if is_sales else county_crs,
            default=settings.default_crs or county_crs,
        ),
        geometry_type="Point" if is_sales else "MultiPolygon",
        conditions=compile_filters(dataset, parameters.filters),
        filters=parameters.filters,
        bbox=parameters.bbox,
        strict=parameters.strict,
    )


def _plan_crs(requested: str | None, rules: FormatRules, *, source: str, default: str) -> Reprojection:
    target = parse_crs(requested or (WGS84 if rules.geographic_only else default))
    if rules.geographic_only and target != parse_crs(WGS84):
        message = f"{rules.format} holds longitude and latitude in {WGS84} only, not {crs_code(target)}"
        details = {"crs": crs_code(target), "format": rules.format}
        raise ExportRefusedError("crs_not_allowed_for_format", message, details=details)
    return plan_reprojection(parse_crs(source), target)


def _plan_columns(
    parameters: GisExportParameters, settings: GisExportSettings, *, rules: FormatRules, dataset: Dataset
) -> tuple[ColumnPlan, ...]:
    names = parameters.fields or settings.default_fields.get(parameters.layer) or _default_names(dataset)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"{', '.join(repeated)} asked for more than once"
        raise ExportRefusedError("field_repeated", message, details={"fields": repeated})
    short = settings.shapefile_names.get(parameters.layer, {}) if rules.short_names else {}
    return tuple(_plan_column(find_field(dataset, name), rules, short) for name in names)


def _default_names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(field.name for field in dataset.fields if field.name not in _NOT_BY_DEFAULT)


def _plan_column(field: CatalogField, rules: FormatRules, short: dict[str, str]) -> ColumnPlan:
    name = short.get(field.name, field.short_name) if rules.short_names else field.name
    return ColumnPlan(field, name, rules.types[field.data_type])


def is_text(column: ColumnPlan) -> bool:
    """Whether the field holds text of any length (not a number or date written as text)."""
    return column.field.data_type in {DataType.TEXT, DataType.DOCUMENT}
