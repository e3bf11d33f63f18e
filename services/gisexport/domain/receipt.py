"""The receipt: what was written and everything that was changed on the way."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts.api.gis_export import (
    GisExportReceipt,
    ReceiptChange,
    ReceiptCrs,
    ReceiptField,
    ReceiptFile,
    ReceiptFilter,
    ReceiptGeometry,
    ReceiptLayer,
    ReceiptRows,
)
from services.gisexport.domain.columns import conversion
from services.gisexport.domain.crs import crs_code
from services.gisexport.domain.plan import ColumnPlan, ExportPlan
from services.gisexport.domain.refusal import ExportRefusedError
from services.gisexport.domain.tally import CHANGES, LOSSES, Tally


def to_receipt(
    plan: ExportPlan,
    tally: Tally,
    *,
    layers: Sequence[ReceiptLayer],
    files: Sequence[ReceiptFile],
    written_at: datetime,
    software: Mapping[str, str],
) -> GisExportReceipt:
    """Put plan and counts together; the same input gives the same receipt."""
    return GisExportReceipt(
        county=plan.county,
        layer=plan.layer,
        format=plan.rules.format,
        strict=plan.strict,
        written_at=written_at,
        source_updated_at=tally.source_updated_at,
        filter=ReceiptFilter(bbox=plan.bbox, filters=plan.filters),
        crs=_crs(plan),
        fields=tuple(_field(column, plan) for column in plan.columns),
        rows=_rows(plan, tally, layers),
        geometry=_geometry(tally),
        layers=tuple(layers),
        changes=to_changes(tally),
        notes=plan.rules.notes,
        files=tuple(files),
        software=dict(software),
    )


def to_changes(tally: Tally) -> tuple[ReceiptChange, ...]:
    """Every kind of change with its rows, losses first."""
    changes = [
        ReceiptChange(
            code=code,
            field=name,
            rows=rows,
            detail=LOSSES.get(code) or CHANGES[code],
            is_loss=code in LOSSES,
        )
        for (code, name), rows in tally.changes.items()
    ]
    return tuple(sorted(changes, key=lambda change: (not change.is_loss, change.code, change.field or "")))


def check_strict(plan: ExportPlan, tally: Tally) -> None:
    """Errors: `export_would_lose_data`, listing every loss, where the caller asked for strict."""
    losses = [change for change in to_changes(tally) if change.is_loss]
    if plan.strict and losses:
        named = ", ".join(f"{loss.code} ({loss.field or 'geometry'}: {loss.rows})" for loss in losses)
        details = {"losses": [loss.model_dump(mode="json", exclude={"is_loss"}) for loss in losses]}
        message = f"{plan.rules.format} would lose data: {named}"
        raise ExportRefusedError("export_would_lose_data", message, details=details)


def to_summary(receipt: GisExportReceipt) -> dict[str, Any]:
    """What the job's result says; the whole receipt is an artifact."""
    return {
        "layer": receipt.layer,
        "format": receipt.format,
        "crs": receipt.crs.written,
        "features": receipt.rows.written,
        "rows_read": receipt.rows.read,
        "rows_without_geometry": receipt.rows.without_geometry,
        "geometries_repaired": receipt.geometry.repaired,
        "losses": [change.model_dump(mode="json") for change in receipt.changes if change.is_loss],
        "files": [file.name for file in receipt.files],
    }


def _crs(plan: ExportPlan) -> ReceiptCrs:
    reprojection = plan.reprojection
    return ReceiptCrs(
        source=crs_code(reprojection.source),
        written=crs_code(reprojection.target),
        pipeline=reprojection.pipeline,
        operation=reprojection.operation,
        accuracy_m=reprojection.accuracy_m,
        better_operation=reprojection.better_operation,
        coordinate_decimals=plan.rules.coordinate_decimals,
    )


def _field(column: ColumnPlan, plan: ExportPlan) -> ReceiptField:
    return ReceiptField(
        name=column.field.name,
        label=column.field.label,
        unit=column.field.unit,
        written_name=column.written_name,
        data_type=column.field.data_type,
        written_type=column.written_type,
        conversion=conversion(column, plan.rules),
    )


def _rows(plan: ExportPlan, tally: Tally, layers: Sequence[ReceiptLayer]) -> ReceiptRows:
    return ReceiptRows(
        read=tally.rows_read,
        written=sum(layer.rows for layer in layers),
        without_geometry=tally.without_geometry,
        without_geometry_written_as="null_geometry" if plan.rules.holds_null_geometry else "side_csv",
    )


def _geometry(tally: Tally) -> ReceiptGeometry:
    return ReceiptGeometry(
        promoted=tally.geometry("geometry_promoted"),
        repaired=tally.geometry("geometry_repaired"),
        empty=tally.geometry("geometry_empty"),
        unreadable=tally.geometry("geometry_unreadable"),
        collapsed=tally.geometry("geometry_collapsed"),
        parts_dropped=tally.geometry("geometry_parts_dropped"),
        dimensions_dropped=tally.geometry("geometry_dimensions_dropped"),
    )
