"""A county that several systems feed: its CAMA database, a GeoPackage of the GIS, a CSV of the CRM."""

import csv
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
import yaml

from chassis.database import Database
from tests.support.pair_benches import county_files
from tests.support.sync_jobs import SyncBench

COUNTY, PACS, GIS, CRM = "synthetic_wa", "synthetic_wa_pacs", "synthetic_wa_gis", "synthetic_wa_crm"
EPSG = 2927

GIS_PAIR: dict[str, Any] = {
    "pair": GIS,
    "connector": "files",
    "role": "contributing",
    "match": {"parcel": "parcel_number", "ignore": "-"},
    "source_schema": "gis",
    "working_year": {"year": 2026},
    "tables": [
        {
            "name": "taxlots",
            "file": "taxlots.gpkg",
            "key": ["APN"],
            "columns": {"APN": "text", "ZONE": "text", "FLOOD": "text", "EDITOR": "text", "geometry": "geometry"},
            "links": {"parcel_id": "APN"},
            "epsg": EPSG,
            "origin": {"column": "EDITOR", "ours": ["terrafusion"]},
        }
    ],
    "entities": {
        "parcel": {
            "root": "taxlots",
            "fields": {"zoning": "taxlots.ZONE", "geometry": "taxlots.geometry"},
            "attributes": {"flood_zone": "taxlots.FLOOD"},
        }
    },
}
CRM_PAIR: dict[str, Any] = {
    "pair": CRM,
    "connector": "files",
    "role": "contributing",
    "match": {"parcel": "parcel_number"},
    "source_schema": "crm",
    "working_year": {"year": 2026},
    "tables": [
        {
            "name": "contacts",
            "file": "contacts.csv",
            "key": ["apn", "account"],
            "columns": {"apn": "text", "account": "text", "mail_to": "text"},
            "links": {"parcel_id": "apn", "owner_id": "account"},
            "personal": ["mail_to"],
        }
    ],
    "entities": {
        "parcel": {"root": "contacts", "fields": {}},
        "owner": {"root": "contacts", "fields": {"mailing_address": "contacts.mail_to"}},
    },
}


@dataclass
class Lot:
    """What the GIS says of a parcel."""

    apn: str
    zone: str | None
    flood: str = "X"
    editor: str = "gis"
    corner: float = 1_500_000.0

    @property
    def polygon(self) -> shapely.Polygon:
        return shapely.box(self.corner, 600_000, self.corner + 100, 600_100)


@dataclass
class TwoPairs:
    """The pairs' benches, and what the files hold."""

    pacs: SyncBench
    folder: Path
    lots: list[Lot] = field(default_factory=list)
    contacts: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def gis(self) -> SyncBench:
        return replace(self.pacs, pair=GIS)

    @property
    def crm(self) -> SyncBench:
        return replace(self.pacs, pair=CRM)

    def write(self) -> None:
        """Write both files anew."""
        fields = ("APN", "ZONE", "FLOOD", "EDITOR")
        values = [[lot.apn, lot.zone, lot.flood, lot.editor] for lot in self.lots]
        pyogrio.raw.write(
            self.folder / "taxlots.gpkg",
            geometry=np.array(shapely.to_wkb([lot.polygon for lot in self.lots]), dtype=object),
            field_data=[np.array(column, dtype=object) for column in zip(*values, strict=True)],
            fields=list(fields),
            crs=f"EPSG:{EPSG}",
            geometry_type="Polygon",
            driver="GPKG",
        )
        with (self.folder / "contacts.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("apn", "account", "mail_to"), *self.contacts])

    async def follow(self, bench: SyncBench, mode: str = "incremental", **more: Any) -> dict[str, Any]:
        """A run that succeeds; the outbox then holds what it said. Answers its result."""
        await bench.forget()
        job = await bench.run(mode, **more)
        assert job["status"] == "succeeded", job["error"]
        result: dict[str, Any] = job["result"]
        return result

    async def parcel(self, apn: str) -> dict[str, Any]:
        (row,) = await self.pacs.fetch("SELECT * FROM ingest.parcel_v1 WHERE parcel_number = $1", apn)
        return row

    async def conflicts(self, status: str = "open") -> list[dict[str, Any]]:
        return await self.pacs.fetch(
            "SELECT * FROM ingest.conflict_v1 WHERE status = $1 ORDER BY entity, entity_id, field", status
        )


@asynccontextmanager
async def two_pairs(
    database_url: str, folder: Path, *, rules: dict[str, Any], pairs: Sequence[dict[str, Any]] = (GIS_PAIR, CRM_PAIR)
) -> AsyncIterator[TwoPairs]:
    """The county with further pairs; the CAMA database's URL has to stand in the environment."""
    counties, files, storage = folder / "counties", folder / "files", folder / "storage"
    for made in (counties, files, storage):
        made.mkdir()
    county_files(counties, COUNTY, lambda _: None)
    add_pairs(counties, pairs, rules)
    database = Database(database_url, service="ingest")
    await database.open()
    with pytest.MonkeyPatch.context() as environment:
        for pair in (GIS, CRM):
            environment.setenv(f"TERRAFUSION_SOURCE_{pair.upper()}_URL", files.as_uri())
        bench = SyncBench(database, COUNTY, PACS, counties_dir=counties, storage=storage.as_uri())
        yield TwoPairs(bench, files)
    await database.close()


def add_pairs(counties: Path, pairs: Sequence[dict[str, Any]], rules: dict[str, Any]) -> None:
    """Add pairs and rules to the county's mappings; those that stand there already are replaced."""
    path = counties / COUNTY / "mappings.yaml"
    primary = yaml.safe_load(path.read_text())["pairs"][0]
    path.write_text(yaml.safe_dump({"pairs": [primary, *pairs], **rules}, sort_keys=False))
