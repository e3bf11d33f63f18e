import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely

from contracts.api.gis_export import GisExportParameters, GisExportReceipt, GisExportSettings
from services.gisexport.domain.plan import plan_export
from services.gisexport.writers import write_export

COUNTY_CRS = "EPSG:2927"  # Washington South, US survey feet
Export = Callable[..., tuple[GisExportReceipt, Path]]


def square(x: float = 1_640_000.0, y: float = 300_000.0, side: float = 100.0) -> bytes:
    return bytes(shapely.to_wkb(shapely.box(x, y, x + side, y + side)))


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Write records (or batches of them) and give the receipt and the folder, archives unpacked beside it."""

    def run(records: list[Any], *, county_crs: str = COUNTY_CRS, **parameters: Any) -> tuple[GisExportReceipt, Path]:
        asked = GisExportParameters.model_validate(parameters)
        plan = plan_export(asked, GisExportSettings(), county="demo", county_crs=county_crs)
        batches = [records] if records and isinstance(records[0], dict) else records
        folder = tmp_path / "export"
        receipt = write_export(batches, plan, folder)
        for archive in folder.glob("*.zip"):
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(tmp_path / "unpacked")
        return receipt, folder

    return run
