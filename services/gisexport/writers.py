"""Writes the files of an export, batch by batch, in constant memory."""

import csv
import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyogrio
import pyogrio.raw
import pyproj
import shapely

from contracts.api.gis_export import GisExportReceipt, ReceiptFile, ReceiptLayer
from services.gisexport.aside import Aside
from services.gisexport.domain.convert import GEOMETRY, convert_batch, written_schema
from services.gisexport.domain.plan import ExportPlan
from services.gisexport.domain.receipt import check_strict, to_receipt
from services.gisexport.domain.records import Records
from services.gisexport.domain.refusal import ExportRefusedError
from services.gisexport.domain.size import check_bytes
from services.gisexport.domain.tally import Tally
from services.gisexport.geoparquet import write_geoparquet

RECEIPT_NAME = "receipt.json"
_SUFFIX_BY_TYPE = {"MultiPoint": "points", "MultiLineString": "lines", "MultiPolygon": "polygons"}
_COUNTED_WITHOUT_PARSING = {"GPKG", "ESRI Shapefile", "FlatGeobuf", "OpenFileGDB"}


def write_export(
    batches: Iterable[Records], plan: ExportPlan, folder: Path, *, after_batch: Callable[[int], None] = lambda _: None
) -> GisExportReceipt:
    """Write the deliverable files and `receipt.json` into the empty `folder`; nothing else is left there.

    `after_batch` gets the rows read so far; what it raises stops the export.
    Errors: those of the domain, `export_would_lose_data`, `export_too_large`; the folder is then empty.
    """
    work = folder / "work"
    work.mkdir(parents=True)
    try:
        receipt = _write(batches, plan, folder, work=work, after_batch=after_batch)
    except BaseException:
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise
    shutil.rmtree(work)
    return receipt


def _write(
    batches: Iterable[Records], plan: ExportPlan, folder: Path, *, work: Path, after_batch: Callable[[int], None]
) -> GisExportReceipt:
    tally = Tally()
    content = work / "content"
    content.mkdir()
    with Aside(work, folder / f"{plan.stem}_without_geometry.csv") as aside:
        main = _main_batches(batches, plan, tally, aside=aside, content=content, after_batch=after_batch)
        layers = [_write_layer(main, plan, content, suffix="", geometry_type=plan.geometry_type)]
    for kind, spooled in aside.spools():
        layers.append(_write_layer(spooled, plan, content, suffix=_SUFFIX_BY_TYPE[kind], geometry_type=kind))
    check_strict(plan, tally)
    _check_complete(layers, tally, rows_aside=aside.rows_without_geometry)
    _deliver(plan, content, folder)
    receipt = to_receipt(
        plan,
        tally,
        layers=layers,
        files=[_describe(path, plan) for path in sorted(folder.iterdir()) if path.is_file()],
        written_at=datetime.now(UTC),
        software=_software(),
    )
    (folder / RECEIPT_NAME).write_text(receipt.model_dump_json(indent=2), encoding="utf-8")
    return receipt


def _main_batches(
    batches: Iterable[Records],
    plan: ExportPlan,
    tally: Tally,
    *,
    aside: Aside,
    content: Path,
    after_batch: Callable[[int], None],
) -> Iterator[pa.RecordBatch]:
    for records in batches:
        converted = convert_batch(records, plan, tally)
        aside.take(converted)
        yield converted.main
        check_bytes(plan, max((path.stat().st_size for path in content.iterdir()), default=0))
        after_batch(tally.rows_read)


def _write_layer(
    batches: Iterator[pa.RecordBatch], plan: ExportPlan, content: Path, *, suffix: str, geometry_type: str
) -> ReceiptLayer:
    layer = f"{plan.layer}_{suffix}" if suffix else plan.layer
    stem = plan.stem if plan.rules.several_layers_per_file or not suffix else f"{plan.stem}_{suffix}"
    path = content / f"{stem}{plan.rules.suffix}"
    counted = _CountedBatches(batches)
    if plan.rules.driver is None:
        write_geoparquet(counted, written_schema(plan), path, geometry=GEOMETRY, crs=plan.reprojection.target)
    else:
        _write_with_gdal(counted, plan, path, layer=layer, geometry_type=geometry_type)
    rows = counted.rows
    if plan.rules.driver in _COUNTED_WITHOUT_PARSING:
        rows = max(0, pyogrio.read_info(path, layer=layer if plan.rules.several_layers_per_file else None)["features"])
    return ReceiptLayer(file=path.name, layer=layer, geometry_type=geometry_type, rows=rows)


def _write_with_gdal(
    counted: "_CountedBatches", plan: ExportPlan, path: Path, *, layer: str, geometry_type: str
) -> None:
    may_mix = plan.rules.mixes_geometry_types and geometry_type != "Point"
    try:
        pyogrio.raw.write_arrow(
            pa.RecordBatchReader.from_batches(written_schema(plan), counted),
            path,
            layer=layer,
            driver=plan.rules.driver,
            geometry_name=GEOMETRY,
            geometry_type="Unknown" if may_mix else geometry_type,
            crs=plan.reprojection.target.to_wkt(),
            append=path.exists(),
            layer_options=_layer_options(plan),
        )
    except Exception:
        # GDAL reports a failed reader as its own error, without the cause.
        if counted.error is not None:
            raise counted.error from None
        raise


def _layer_options(plan: ExportPlan) -> dict[str, str]:
    options = dict(plan.rules.layer_options)
    if plan.rules.driver == "CSV":
        code = plan.reprojection.target.to_epsg(min_confidence=100)
        options |= {"GEOMETRY": "AS_WKT", "GEOMETRY_NAME": f"_WKT_EPSG_{code}"}
    return options


class _CountedBatches:
    """An iterator that counts rows and keeps the exception which GDAL would swallow."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.rows = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                self.rows += batch.num_rows
                yield batch
        except BaseException as error:
            self.error = error
            raise


def _check_complete(layers: list[ReceiptLayer], tally: Tally, *, rows_aside: int) -> None:
    written = sum(layer.rows for layer in layers) + rows_aside
    if written != tally.rows_read:
        message = f"{tally.rows_read} rows were read but {written} stand in the files"
        raise ExportRefusedError("export_incomplete", message, details={"read": tally.rows_read, "written": written})


def _deliver(plan: ExportPlan, content: Path, folder: Path) -> None:
    if not plan.rules.zipped:
        for path in sorted(content.iterdir()):
            path.rename(folder / path.name)
        return
    with (content / "fields.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["column", "field", "label", "unit", "type"])
        for column in plan.columns:
            field = column.field
            writer.writerow([column.written_name, field.name, field.label, field.unit or "", field.data_type])
    with zipfile.ZipFile(folder / f"{plan.stem}_{plan.rules.format}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(content.rglob("*")):
            archive.write(path, path.relative_to(content))


def _describe(path: Path, plan: ExportPlan) -> ReceiptFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    media_type = "text/csv" if path.suffix == ".csv" else plan.rules.media_type
    return ReceiptFile(name=path.name, media_type=media_type, bytes=path.stat().st_size, sha256=digest)


def _software() -> dict[str, str]:
    gdal = ".".join(str(part) for part in pyogrio.__gdal_version__)
    return {"gdal": gdal, "proj": pyproj.proj_version_str, "geos": shapely.geos_version_string}
