"""A market study over the bus: what is stored agrees with the document and with what was planted."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from chassis.database import Database
from contracts.api.market import MarketStudy
from services.market.handlers import router
from tests.support.jobs import COUNTY, Office, running, settings_for


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("storage")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def studying(office: Office, storage: Path) -> AsyncIterator[Office]:
    async with running(router, settings_for(office, f"file://{storage}", job_attempts=1)):
        yield office


async def study(office: Office, **parameters: Any) -> asyncpg.Record:
    return await office.ended(await office.submit("market", **parameters), wait_seconds=60)


def stored_study(storage: Path) -> MarketStudy:
    [path] = storage.rglob("study.json")
    return MarketStudy.model_validate_json(path.read_bytes())


def artifact_bytes(storage: Path, job_id: UUID, name: str) -> bytes:
    [path] = [path for path in storage.rglob(name) if str(job_id) in str(path)]
    return path.read_bytes()


async def own_rows(office: Office, query: str, study_id: UUID) -> list[asyncpg.Record]:
    database = Database(office.database_url, service="market", pool_size=2)
    await database.open()
    try:
        async with database.read(COUNTY) as connection:
            return await connection.fetch(query, study_id)
    finally:
        await database.close()


async def test_a_study_recovers_the_planted_trend_and_stores_its_index(studying: Office, storage: Path) -> None:
    job = await study(studying)
    assert job["status"] == "succeeded", job["error"]
    result = job["result"]
    assert result["monthly_trend_percent"] == pytest.approx(0.6, abs=0.25)
    low, high = result["monthly_trend_interval"]
    assert low < result["monthly_trend_percent"] < high
    assert (result["months"], result["sales_used"], result["main_segment"]) == (24, 400, "improved_residential")
    [row] = await own_rows(studying, "SELECT * FROM market.study WHERE study_id = $1", job["id"])
    document = MarketStudy.model_validate(row["document"])
    index = await own_rows(
        studying, "SELECT * FROM market.index WHERE study_id = $1 ORDER BY segment, month", job["id"]
    )
    assert [(point["month"], point["index"]) for point in index] == [
        (month.month, month.index) for month in document.segments[0].months
    ]
    assert {artifact["name"]: artifact["media_type"] for artifact in job["artifacts"]} == {
        "study.json": "application/json",
        "index.svg": "image/svg+xml",
        "sales.geojson": "application/geo+json",
    }
    assert stored_study(storage) == document
    assert (await studying.facts(job["id"]))[-1] == "succeeded"


async def test_the_record_s_parcels_values_and_places_are_in_the_study(studying: Office, storage: Path) -> None:
    job = await study(studying, from_date="2023-02-01", confidence=0.9, minimum_group_sales=60)
    assert job["status"] == "succeeded", job["error"]
    [row] = await own_rows(studying, "SELECT document FROM market.study WHERE study_id = $1", job["id"])
    made = MarketStudy.model_validate(row["document"])
    homes = made.segments[0]
    assert (made.confidence, made.sales_without_place) == (0.9, 0)
    assert homes.absorption is not None
    assert homes.absorption.parcels == 401  # the sold ones and one that never sold; the closed one is not active
    assert (homes.absorption.months_of_supply, homes.absorption.months_of_supply_reason) == (None, "listings_unknown")
    assert homes.regrouping is not None
    assert homes.regrouping.minimum_group_sales == 60
    assert all(group.sales >= 60 for group in homes.regrouping.groups)
    assert {merge.touching for merge in homes.regrouping.merges} <= {True}
    for place in homes.neighborhoods:
        assert place.ratio is not None
        assert place.ratio.median_ratio is not None
    points = json.loads(artifact_bytes(storage, job["id"], "sales.geojson"))
    assert len(points["features"]) == made.sales_used
    assert artifact_bytes(storage, job["id"], "index.svg").startswith(b"<svg")


async def test_a_period_that_ends_after_today_takes_no_sale_of_the_future(studying: Office) -> None:
    job = await study(studying, from_date="2023-01-01", to_date="2999-01-01")
    assert job["status"] == "succeeded", job["error"]
    [row] = await own_rows(studying, "SELECT to_date FROM market.study WHERE study_id = $1", job["id"])
    assert row["to_date"] <= datetime.now(UTC).date()


async def test_period_and_segments_are_honoured(studying: Office) -> None:
    job = await study(
        studying, from_date="2024-01-01", to_date="2024-12-31", segments=["11", "improved_residential", "55"]
    )
    result = job["result"]
    assert result["months"] == 12
    assert [part["segment"] for part in result["segments"]] == ["11", "improved_residential", "55"]
    assert result["segments"][0]["sales"] == result["segments"][1]["sales"]
    assert result["segments"][2] == {
        "segment": "55",
        "sales": 0,
        "monthly_trend_percent": None,
        "reason": "too_few_sales",
    }


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"from_date": "2010-01-01", "to_date": "2011-01-01"}, "too_few_sales"),
        ({"from_date": "2024-01-01", "to_date": "2023-01-01"}, "parameters_invalid"),
        ({"segments": []}, "parameters_invalid"),
        ({"confidence": 1.0}, "parameters_invalid"),
        ({"minimum_group_sales": 1}, "parameters_invalid"),
        ({"since": "2024-01-01"}, "parameters_invalid"),
    ],
)
async def test_refusals_are_coded_and_leave_nothing(studying: Office, parameters: dict[str, Any], code: str) -> None:
    job = await study(studying, **parameters)
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert await own_rows(studying, "SELECT 1 FROM market.study WHERE study_id = $1", job["id"]) == []
