"""A county whose legacy system is a folder of files: followed, valued, decided about, posted and read again."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import yaml

from chassis.streams import apply_streams
from services.ingest.handlers import router as ingest_router
from services.ingest.settings import Settings as IngestSettings
from services.valuation import app as valuation_app
from services.valuation.handlers import router as valuation_router
from tests.support.gateways import (
    COUNTY_FILE,
    GatewayUnderTest,
    gateway_settings,
    running_gateway,
    write_accounts,
    write_counties,
)
from tests.support.jobs import Office, running, settings_for
from tests.support.planted_market import planted_sales
from tests.support.waiting import eventually

COUNTY, PAIR, YEAR = "benton", "benton_cama", 2025
ENDED = {"succeeded", "failed", "cancelled"}
_NUMBERS = (
    "living_area_sqft", "land_area_sqft", "year_built", "bedrooms", "bathrooms", "stories", "longitude", "latitude",
    "land_value_usd", "improvement_value_usd", "total_value_usd", "prior_total_value_usd",
)  # fmt: skip
_TEXTS = ("use_code", "neighborhood", "building_class", "condition")
_FIELDS = (*_TEXTS, *_NUMBERS)
MAPPING: dict[str, Any] = {
    "pair": PAIR,
    "connector": "files",
    "source_schema": "files",
    "working_year": {"year": YEAR},
    "following": {
        "brake": {"deleted_rows": 10**9, "deleted_share": 1, "changed_rows": 10**9, "changed_share": 1},
    },
    "value_file": {
        "format": "fixed",
        "encoding": "latin-1",
        "columns": [
            {"name": "prop_id", "value": "parcel_id", "width": 12},
            {"name": "year", "value": "tax_year", "width": 5, "align": "right"},
            {"name": "land", "value": "land_value_usd", "width": 15, "align": "right", "pad": "0"},
            {"name": "imprv", "value": "improvement_value_usd", "width": 15, "align": "right", "pad": "0"},
            {"name": "total", "value": "value_usd", "width": 15, "align": "right", "pad": "0"},
        ],
    },
    "tables": [
        {
            "name": "parcels",
            "file": "parcels.csv",
            "key": ["parcel_id"],
            "columns": {"parcel_id": "text", **dict.fromkeys(_TEXTS, "text"), **dict.fromkeys(_NUMBERS, "decimal")},
            "links": {"parcel_id": "parcel_id"},
        },
        {
            "name": "sales",
            "file": "sales.csv",
            "key": ["sale_id"],
            "columns": {
                "sale_id": "text", "parcel_id": "text", "sale_date": "date", "sale_price_usd": "decimal",
                "validity_code": "text",
            },
            "links": {"parcel_id": "parcel_id", "sale_id": "sale_id"},
        },
    ],
    "entities": {
        "parcel": {"root": "parcels", "fields": {name: f"parcels.{name}" for name in _FIELDS}},
        "sale": {
            "root": "sales",
            "fields": {name: f"sales.{name}" for name in ("sale_date", "sale_price_usd", "validity_code")},
        },
    },
}  # fmt: skip


class LegacySystem:
    """The folder of files that stands for the county's CAMA system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        sales = planted_sales(count=400).with_columns(
            validity_code=pl.lit("1"), prior_total_value_usd=pl.lit(290_000.0)
        )
        self.parcels = {row["parcel_id"]: row for row in sales.select("parcel_id", *_FIELDS).iter_rows(named=True)}
        self._write_parcels()
        names = ("sale_id", "parcel_id", "sale_date", "sale_price_usd", "validity_code")
        sales.select(*names).write_csv(folder / "sales.csv")

    def take_values(self, content: bytes) -> None:
        """Import a value file of the fixed layout above."""
        for line in content.decode("latin-1").splitlines():
            parcel = self.parcels[line[:12].strip()]
            places = {"land_value_usd": (17, 32), "improvement_value_usd": (32, 47), "total_value_usd": (47, 62)}
            parcel |= {name: float(line[start:end]) for name, (start, end) in places.items()}
        self._write_parcels()

    def change(self, parcel_id: str, **values: float) -> None:
        """Somebody edits a parcel by hand."""
        self.parcels[parcel_id] |= values
        self._write_parcels()

    def add_bare(self, parcel_id: str) -> None:
        """A parcel of which nothing is known but its year's value."""
        self.parcels[parcel_id] = {"parcel_id": parcel_id, "neighborhood": "N1", "total_value_usd": 50_000.0}
        self._write_parcels()

    def drop(self, parcel_id: str) -> None:
        """A parcel leaves the system."""
        del self.parcels[parcel_id]
        self._write_parcels()

    def _write_parcels(self) -> None:
        text = io.StringIO()
        lines = csv.DictWriter(text, ["parcel_id", *_FIELDS])
        lines.writeheader()
        lines.writerows(self.parcels.values())
        (self.folder / "parcels.csv").write_text(text.getvalue())


@dataclass
class Story:
    """A running platform, and who works with it."""

    office: Office
    gateway: GatewayUnderTest
    legacy: LegacySystem
    folder: Path

    async def get(self, user: str, path: str, **query: Any) -> Any:
        """What a path answers a user."""
        answer = await self._send(user, "GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, user: str, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = await self._send(user, method, path, **options)
        return answer.status_code, answer.json()["code"]

    async def do(self, user: str, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Ask for a job and wait for its end."""
        answer = await self._send(user, "POST", path, json=body, **options)
        assert answer.status_code == 202, answer.text

        async def look() -> dict[str, Any] | None:
            job: dict[str, Any] = await self.get(user, f"/api/v1/jobs/{answer.json()['id']}")
            return job if job["status"] in ENDED else None

        return await eventually(look, f"the job of {path} has ended", wait_seconds=120)

    async def done(self, user: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The same where it has to succeed."""
        job = await self.do(user, path, body)
        assert job["status"] == "succeeded", job["error"]
        return job

    async def value(self, user: str, **parameters: Any) -> dict[str, Any]:
        """Make a run by the fastest model."""
        asked = {"scope": {"all": True}, "model": "hedonic", **parameters}
        return await self.done(user, "/api/v1/valuation/run", {"county": COUNTY, "parameters": asked})

    async def synchronize(self, mode: str) -> None:
        """Read the legacy system."""
        await self.done("ann", f"/api/sync/{mode}", {"county": COUNTY, "pair": PAIR})

    async def file(self, user: str, href: str) -> bytes:
        """An artifact."""
        answer = await self._send(user, "GET", href)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def _send(self, user: str, method: str, path: str, **options: Any) -> httpx.Response:
        async with await self.gateway.client(user) as client:
            return await client.request(method, path, **options)


@asynccontextmanager
async def valuation_story(
    database_url: str, nats_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Story]:
    """Gateway, ingest and valuation over a real database and bus, with a county that has just been read."""
    await apply_streams(nats_url, ack_wait=timedelta(seconds=5))
    counties = write_counties(folder / "counties")
    (counties / COUNTY / "county.yaml").write_text(COUNTY_FILE.format(county=COUNTY, name="Benton"))
    (counties / COUNTY / "mappings.yaml").write_text(yaml.safe_dump({"pairs": [MAPPING]}))
    legacy = LegacySystem(folder / "legacy")
    monkeypatch.setenv(f"TERRAFUSION_SOURCE_{PAIR.upper()}_URL", f"file://{legacy.folder}")
    await write_accounts(database_url)
    changes = {"counties_dir": counties, "job_attempts": 1}
    async with Office.open(database_url, nats_url) as office:
        settings = settings_for(office, f"file://{folder}/storage", **changes)
        follows = IngestSettings(**settings.model_dump())
        gateway = gateway_settings(database_url, nats_url, folder, answer_wait=timedelta(seconds=30))
        async with (
            running(valuation_router, settings, name="valuation", subscribe=valuation_app.subscribe),
            running(ingest_router, follows, name="ingest"),
            running_gateway(gateway) as served,
        ):
            story = Story(office, served, legacy, folder)
            await story.synchronize("full")
            yield story
