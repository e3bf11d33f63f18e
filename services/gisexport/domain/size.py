"""How large an export will be, before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.gisexport.domain.formats import WrittenType
from services.gisexport.domain.plan import ColumnPlan, ExportPlan, is_text
from services.gisexport.domain.refusal import ExportRefusedError

# GDAL's column widths in a dBASE file; text starts at 80 and grows to the longest value.
_DBF_WIDTHS = {
    WrittenType.INTEGER: 9,
    WrittenType.SMALL_INTEGER: 5,
    WrittenType.DOUBLE: 24,
    WrittenType.DECIMAL: 18,
    WrittenType.DATE: 8,
    WrittenType.TEXT: 80,
}
_SHP_BYTES_PER_RECORD = 8 + 44  # record header and bounds (ESRI Shapefile Technical Description, 1998)


@dataclass(frozen=True)
class LayerSize:
    """What is to be exported: `text_bytes` is the longest value of a text field, by catalogue name."""

    rows: int
    geometry_bytes: int = 0
    text_bytes: Mapping[str, int] = field(default_factory=dict)


def estimate_bytes(plan: ExportPlan, size: LayerSize) -> int:
    """Bytes of the largest file that a Shapefile of this size consists of."""
    record = 1 + sum(_dbf_width(column, plan, size) for column in plan.columns)
    table = 32 + 32 * len(plan.columns) + 1 + size.rows * record
    shapes = 100 + size.rows * _SHP_BYTES_PER_RECORD + size.geometry_bytes
    return max(table, shapes)


def check_size(plan: ExportPlan, size: LayerSize) -> None:
    """Refuse before writing what the format cannot hold. Errors: `export_too_large`."""
    if plan.rules.size_limit_bytes is not None:
        check_bytes(plan, estimate_bytes(plan, size))


def check_bytes(plan: ExportPlan, needed: int) -> None:
    """Errors: `export_too_large` where one file of `needed` bytes is beyond the format's limit."""
    limit = plan.rules.size_limit_bytes
    if limit is not None and needed > limit:
        message = (
            f"{plan.rules.format} files end at {limit} bytes; this one needs about {needed}: choose gpkg, or a part"
        )
        details = {"format": plan.rules.format, "needed_bytes": needed, "limit_bytes": limit}
        raise ExportRefusedError("export_too_large", message, details=details)


def _dbf_width(column: ColumnPlan, plan: ExportPlan, size: LayerSize) -> int:
    width = _DBF_WIDTHS[column.written_type]
    if not is_text(column):
        return width
    return max(width, min(size.text_bytes.get(column.field.name, 0), plan.rules.text_limit_bytes or 254))
