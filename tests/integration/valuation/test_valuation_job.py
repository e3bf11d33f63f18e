"""A county is valued over the bus, and what was stored can be read, explained and trusted."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from chassis.database import Database
from contracts.api.valuation import ComparableSale, ComparablesAnswer
from services.valuation import comparables_query, handlers
from services.valuation import valuing as by_batches
from tests.support.jobs import COUNTY, Office, running, settings_for
from tests.support.waiting import eventually

WAIT_SECONDS = 120


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def valuing(office: Office, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    folder: Path = tmp_path_factory.mktemp("storage")
    settings = settings_for(office, f"file://{folder}", job_attempts=1)
    async with running(handlers.router, settings, name="valuation", subscribe=comparables_query.subscribe) as service:

        async def hears() -> bool:
            return service.broker.running

        await eventually(hears, "the service hears its queries")
        yield office


async def value(office: Office, **parameters: Any) -> asyncpg.Record:
    job_id = await office.submit("valuation", **parameters)
    return await office.ended(job_id, wait_seconds=WAIT_SECONDS)


async def read(office: Office, query: str, *args: Any, county: str = COUNTY) -> list[asyncpg.Record]:
    """Rows as the reporting service, a reader of published views, may see them."""
    database = Database(office.database_url, service="reporting", pool_size=2)
    await database.open()
    try:
        async with database.read(county) as connection:
            return await connection.fetch(query, *args)
    finally:
        await database.close()


async def own_rows(office: Office, table: str, run_id: UUID) -> list[asyncpg.Record]:
    database = Database(office.database_url, service="valuation", pool_size=2)
    await database.open()
    try:
        async with database.read(COUNTY) as connection:
            return await connection.fetch(f"SELECT * FROM valuation.{table} WHERE run_id = $1", run_id)
    finally:
        await database.close()


async def test_a_county_is_valued_and_every_parcel_accounted_for(
    valuing: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_batches, "BATCH_PARCELS", 64)
    job = await value(valuing, scope={"all": True})
    assert job["status"] == "succeeded", job["error"]
    result = job["result"]
    assert result["parcels_valued"] == 400
    assert result["parcels_refused"] == {"living_area_missing": 1, "too_few_sales": 1}
    assert (result["model"], result["tax_year"], result["valuation_date"]) == ("blend", 2025, "2025-01-01")
    assert result["holdout"]["n"] >= 70
    assert result["holdout"]["cod"] < 14
    assert 0.9 < result["holdout"]["median_ratio"] < 1.1
    assert job["progress"] == {"done": 402, "total": 402, "unit": "parcels", "message": "valuing"}
    values = await own_rows(valuing, "parcel_value", job["id"])
    assert len(values) == 400
    assert sum(float(row["value_usd"]) for row in values) == pytest.approx(result["total_value_usd"])
    refused = await own_rows(valuing, "refused_parcel", job["id"])
    assert {row["parcel_id"]: row["reason"] for row in refused} == {
        "no-area": "living_area_missing",
        "other": "too_few_sales",
    }
    [run] = await own_rows(valuing, "model_run", job["id"])
    assert run["model_card"]["kinds"]["improved_residential"]["accuracy"]["cod"] == result["holdout"]["cod"]
    facts = await valuing.facts(job["id"])
    assert (facts[:2], facts[-1]) == (["requested", "started"], "succeeded")
    assert "progressed" in facts


async def test_stored_values_carry_their_reasons(valuing: Office) -> None:
    job = await value(valuing, scope={"parcel_ids": ["p000001", "nobody"]}, model="comparables", comparables=3)
    assert job["result"]["parcels_refused"] == {"parcel_unknown": 1}
    [row] = await own_rows(valuing, "parcel_value", job["id"])
    assert row["low_usd"] < row["value_usd"] < row["high_usd"]
    assert 0 < row["confidence"] < 1
    assert row["land_value_usd"] + row["improvement_value_usd"] == row["value_usd"]
    assert sum(row["contributions"].values()) == pytest.approx(float(row["value_usd"]), abs=0.02)
    comparables = [ComparableSale.model_validate(comparable) for comparable in row["comparables"]]
    assert len(comparables) == 3
    for comparable in comparables:
        told = comparable.sale_price_usd + sum(comparable.adjustments_usd.values())
        assert told == pytest.approx(comparable.adjusted_price_usd, abs=0.001)
    indicated = sum(comparable.weight * comparable.adjusted_price_usd for comparable in comparables)
    assert indicated == pytest.approx(float(row["value_usd"]), abs=0.0051)


async def test_latest_value_is_that_of_the_newest_run(valuing: Office) -> None:
    first = await value(valuing, scope={"neighborhoods": ["N1"]}, model="hedonic")
    second = await value(valuing, scope={"neighborhoods": ["N1"]}, model="comparables", tax_year=2025)
    rows = await read(
        valuing,
        "SELECT v.run_id, v.model, v.tax_year FROM valuation.latest_value_v1 AS v"
        " JOIN ingest.parcel_v1 AS p USING (county, parcel_id) WHERE p.neighborhood = 'N1'",
    )
    assert len(rows) == first["result"]["parcels_valued"] == second["result"]["parcels_valued"]
    assert {(row["run_id"], row["model"], row["tax_year"]) for row in rows} == {(second["id"], "comparables", 2025)}
    both = await read(
        valuing,
        "SELECT DISTINCT run_id FROM valuation.parcel_value_v1 WHERE run_id = ANY($1::uuid[])",
        [first["id"], second["id"]],
    )
    assert len(both) == 2


async def test_another_county_sees_none_of_it(valuing: Office) -> None:
    await value(valuing, scope={"parcel_ids": ["p000001"]}, model="hedonic")
    assert await read(valuing, "SELECT 1 FROM valuation.parcel_value_v1", county="elsewhere") == []
    [row] = await read(valuing, "SELECT max(value_usd) AS most FROM valuation.latest_value_v1")
    assert row["most"] < 5_000_000  # prices of the other county would give a hundred times as much


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"scope": {"parcel_ids": ["nobody"]}}, "no_parcels_in_scope"),
        ({"scope": {"all": True}, "valuation_date": "2023-01-05"}, "too_few_sales"),
        ({"scope": {"parcel_ids": ["other"]}}, "too_few_sales"),
        ({"scope": {"all": True, "neighborhoods": ["N1"]}}, "parameters_invalid"),
        ({"scope": {}}, "parameters_invalid"),
        ({"scope": {"all": True}, "comparables": 31}, "parameters_invalid"),
    ],
)
async def test_refusals_are_coded_and_leave_nothing(valuing: Office, parameters: dict[str, Any], code: str) -> None:
    job = await value(valuing, **parameters)
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert await own_rows(valuing, "model_run", job["id"]) == []


async def test_too_few_sales_says_how_many(valuing: Office) -> None:
    job = await value(valuing, scope={"parcel_ids": ["p000001"]}, valuation_date="2023-01-05")
    counts = job["error"]["details"]["kinds"]["improved_residential"]
    assert counts["needed"] == 30
    assert 0 <= counts["sales"] < 30


async def test_a_cancelled_run_stores_nothing(valuing: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_batches, "BATCH_PARCELS", 1)
    job_id = await valuing.submit("valuation", scope={"all": True}, model="hedonic")
    await valuing.reached(job_id, "running")
    async with valuing.database.begin(COUNTY) as unit:
        await unit.connection.execute("UPDATE chassis.job SET status = 'cancelling' WHERE id = $1", job_id)
    job = await valuing.ended(job_id, wait_seconds=WAIT_SECONDS)
    assert job["status"] == "cancelled"
    assert await own_rows(valuing, "parcel_value", job_id) == []


async def ask(office: Office, body: bytes, county: str = COUNTY) -> dict[str, Any]:
    reply = await office.client.request(f"query.valuation.comparables.{county}", body, timeout=60)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def test_comparables_are_answered_on_the_bus(valuing: Office) -> None:
    asked = json.dumps({"parcel_id": "p000010", "comparables": 4}).encode()
    answer = ComparablesAnswer.model_validate(await ask(valuing, asked))
    assert (answer.parcel_id, answer.kind, len(answer.comparables)) == ("p000010", "improved_residential", 4)
    assert answer.valuation_date.isoformat() == "2025-01-01"
    assert answer.sales_used == 400
    assert answer.characteristics["living_area_sqft"]
    assert all(comparable.characteristics["living_area_sqft"] for comparable in answer.comparables)
    indicated = sum(one.weight * one.adjusted_price_usd for one in answer.comparables)
    assert indicated == pytest.approx(answer.indicated_value_usd, abs=0.0051)
    assert ComparablesAnswer.model_validate(await ask(valuing, asked)) == answer
    assert answer.indicated is not None
    assert sum(answer.indicated.contributions.values()) == pytest.approx(answer.indicated_value_usd, abs=0.005)
    assert answer.indicated.sentences[0].startswith("We start at $")
    assert answer.equity is not None
    assert len(answer.equity.comparables) == 4
    assert answer.excluded[0].reason == "own_sale"


async def test_comparables_stand_beside_the_newest_runs_value_in_words(valuing: Office) -> None:
    job = await value(valuing, scope={"parcel_ids": ["p000012"]}, model="boosting")
    answer = ComparablesAnswer.model_validate(await ask(valuing, b'{"parcel_id": "p000012"}'))
    assert answer.latest is not None
    assert answer.latest.run_id == job["id"]
    assert round(sum(answer.latest.contributions.values()), 2) == answer.latest.value_usd
    assert answer.latest.sentences[-1] == f"Together this makes ${round(answer.latest.value_usd):,}."


@pytest.mark.parametrize(
    ("body", "county", "code"),
    [
        (b"not json", COUNTY, "query_invalid"),
        (b'{"parcel_id": "p000001", "surprise": 1}', COUNTY, "query_invalid"),
        (b'{"parcel_id": "nobody"}', COUNTY, "parcel_unknown"),
        (b'{"parcel_id": "no-area"}', COUNTY, "living_area_missing"),
        (b'{"parcel_id": "other"}', COUNTY, "characteristics_missing"),
        (b'{"parcel_id": "p000001", "valuation_date": "2023-01-05"}', COUNTY, "too_few_sales"),
        (b'{"parcel_id": "p000001"}', "atlantis", "county_unknown"),
    ],
)
async def test_queries_that_cannot_be_answered_get_a_problem(
    valuing: Office, body: bytes, county: str, code: str
) -> None:
    problem = await ask(valuing, body, county)
    assert problem["code"] == code
    assert problem["detail"]
