"""A county's further attributes reach its runs and its comparables; what repeats a price never does."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import polars as pl
import pytest
import pytest_asyncio

from chassis.database import asyncpg_url
from chassis.embedded.nats_server import EmbeddedNats
from chassis.streams import apply_streams
from contracts.api.valuation import ComparablesAnswer
from services.valuation import comparables_query, handlers, queries
from tests.support.gateways import COUNTY_FILE
from tests.support.jobs import Office, running, settings_for
from tests.support.planted_market import planted_sales
from tests.support.planted_record import fill_record
from tests.support.waiting import eventually

SALES, WAIT_SECONDS = 300, 120
USING, IGNORING = "using", "ignoring"
LEFT_OUT = {"by_name": 1, "repeats_value": 1, "tells_nothing": 1}
COUNTIES = {USING: "", IGNORING: "valuation: {ignore_attributes: [garage_area_sqft, view]}\n"}


def planted() -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """Sales whose prices hang on a garage and a view, and each parcel's document of attributes."""
    draw = np.random.default_rng(11)
    garage = draw.choice([0.0, 400.0, 800.0], SALES)
    lake = draw.random(SALES) < 0.3
    sales = planted_sales(count=SALES, noise=0.05)
    worth = np.exp(0.25 * garage / 800 + 0.2 * lake)
    sales = sales.with_columns((pl.col("sale_price_usd") * pl.Series(worth)).round(2))
    documents = [
        {
            "garage_area_sqft": area or None,
            "view": "lake" if has_view else "none",
            "rtv": price,
            "last_sale_price": price,
            "revised": True,
            "extras": {"pool": [1, None]},
        }
        for area, has_view, price in zip(garage.tolist(), lake.tolist(), sales["sale_price_usd"], strict=True)
    ]
    return sales, list(zip(sales["parcel_id"], map(json.dumps, documents), strict=True))


async def fill(url: str, county: str) -> None:
    sales, documents = planted()
    await fill_record(url, county, sales)
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await connection.executemany(
            f"UPDATE ingest.parcel SET attributes = $2::jsonb WHERE county = '{county}' AND parcel_id = $1",
            documents,
        )
        await connection.execute(
            "UPDATE ingest.parcel SET attributes = '[1, 2]' WHERE county = $1 AND parcel_id = 'other'", county
        )
    finally:
        await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def valuing(
    database_url: str, module_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    counties = tmp_path_factory.mktemp("counties")
    await apply_streams(module_nats.url)
    for county, said in COUNTIES.items():
        await fill(database_url, county)
        write_county(counties, county, said)
    async with Office.open(database_url, module_nats.url) as office:
        storage = f"file://{tmp_path_factory.mktemp('storage')}"
        settings = settings_for(office, storage, job_attempts=1, counties_dir=counties)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(queries, "CHUNK_ROWS", 64)
            async with running(
                handlers.router, settings, name="valuation", subscribe=comparables_query.subscribe
            ) as service:

                async def hears() -> bool:
                    return service.broker.running

                await eventually(hears, "the service hears its queries")
                yield office


def write_county(counties: Path, county: str, said: str) -> None:
    (counties / county).mkdir()
    text = COUNTY_FILE.format(county=county, name=county.title()) + said
    (counties / county / "county.yaml").write_text(text)


async def run(office: Office, county: str, **parameters: Any) -> asyncpg.Record:
    job_id = await office.submit("valuation", county=county, **parameters)
    job = await office.ended(job_id, wait_seconds=WAIT_SECONDS)
    assert job["status"] == "succeeded", job["error"]
    return await own_row(office, "SELECT * FROM valuation.model_run WHERE run_id = $1", job_id)


async def own_row(office: Office, query: str, *args: Any) -> asyncpg.Record:
    connection = await asyncpg.connect(asyncpg_url(office.database_url))
    try:
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        row = await connection.fetchrow(query, *args)
        assert row is not None
        return row
    finally:
        await connection.close()


async def ask(office: Office, county: str, parcel_id: str) -> ComparablesAnswer:
    body = json.dumps({"parcel_id": parcel_id}).encode()
    reply = await office.client.request(f"query.valuation.comparables.{county}", body, timeout=60)
    return ComparablesAnswer.model_validate_json(reply.data)


def accuracy(run_row: asyncpg.Record) -> dict[str, float]:
    found: dict[str, float] = run_row["model_card"]["kinds"]["improved_residential"]["accuracy"]
    return found


async def test_a_run_is_better_with_what_the_price_hangs_on(valuing: Office) -> None:
    told = await run(valuing, USING, scope={"all": True}, model="hedonic")
    untold = await run(valuing, IGNORING, scope={"all": True}, model="hedonic")
    used = {"numbers": ["garage_area_sqft"], "texts": ["view"], "left_out": LEFT_OUT}
    assert told["model_card"]["attributes"] == used
    nothing = {"numbers": [], "texts": [], "left_out": {**LEFT_OUT, "ignored": 2}}
    assert untold["model_card"]["attributes"] == nothing
    assert accuracy(told)["cod"] < 0.6 * accuracy(untold)["cod"]
    coefficients = told["model_card"]["kinds"]["improved_residential"]["hedonic"]["coefficients"]
    assert coefficients["view=lake"] - coefficients["view=none"] == pytest.approx(0.2, abs=0.05)


async def test_two_runs_give_equal_bytes_and_one_parcel_is_valued_as_among_all(valuing: Office) -> None:
    parameters: dict[str, Any] = {"scope": {"all": True}, "model": "reconciled"}
    first, second = await run(valuing, USING, **parameters), await run(valuing, USING, **parameters)
    assert first["run_id"] != second["run_id"]
    for stamp in ("values_sha256", "input_sha256", "model_card"):
        assert first[stamp] == second[stamp]
    alone = await run(valuing, USING, scope={"parcel_ids": ["p000007"]}, model="reconciled")
    query = "SELECT value_usd, contributions FROM valuation.parcel_value WHERE run_id = $1 AND parcel_id = 'p000007'"
    value, among = [await own_row(valuing, query, one["run_id"]) for one in (alone, first)]
    assert dict(value) == dict(among)
    assert {"garage_area_sqft", "view"} <= value["contributions"].keys()


async def test_comparables_are_adjusted_by_the_attributes_of_the_run(valuing: Office) -> None:
    answer, without = await ask(valuing, USING, "p000007"), await ask(valuing, IGNORING, "p000007")
    lines = {name for comparable in answer.comparables for name in comparable.adjustments_usd}
    assert "garage_area_sqft" in lines | set(answer.indicated.contributions if answer.indicated else ())
    assert "view" in answer.characteristics
    assert "rtv" not in answer.characteristics
    assert all("garage_area_sqft" in comparable.characteristics for comparable in answer.comparables)
    assert "view" not in without.characteristics
    assert answer.indicated is not None
    assert round(sum(answer.indicated.contributions.values()), 2) == pytest.approx(answer.indicated_value_usd)
    assert any("garage" in sentence for sentence in answer.indicated.sentences)
    assert await ask(valuing, USING, "p000007") == answer
