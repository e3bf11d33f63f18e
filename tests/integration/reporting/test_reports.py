import asyncio
import csv
import hashlib
import io
import json
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import openpyxl
import pypdf
import pytest

from appraisal.ratio_study import ratio_study
from chassis.database import Database
from chassis.settings import ServiceSettings
from tests.support.reading import fill, stand_in

Run = Callable[..., Awaitable[dict[str, Any]]]
RUN = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
Connection = Any  # asyncpg's connection is generic for the type checker only


def parcels(county: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "county": county,
            "parcel_id": f"{county}-{number}",
            "parcel_number": f"{number:06}",
            "tax_year": 2025,
            "supplement": 0,
            "is_active": number != 0,
            "property_type": "R",
            "use_code": "11" if number % 5 else "91",
            "neighborhood": f"N{number % 3}",
            "situs_address": f"{number} MAIN ST",
            "situs_city": "KENNEWICK",
            "land_value_usd": 100_000,
            "improvement_value_usd": 200_000 + 1_000 * number,
            "total_value_usd": 300_000 + 1_000 * number,
            "market_value_usd": 300_000 + 1_000 * number,
            "taxable_value_usd": 300_000,
            "prior_total_value_usd": 290_000,
            "year_built": 1950 + number % 70,
        }
        for number in range(count)
    ]


def sales(county: str, count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(3)
    return [
        {
            "county": county,
            "sale_id": f"{county}-sale-{number}",
            "parcel_id": f"{county}-{number}",
            "sale_date": date(2024, 1, 1) + timedelta(days=number),
            "sale_price_usd": int((300_000 + 1_000 * number) / random.normal(0.95, 0.08)),
            "adjusted_price_usd": None,
            "validity_code": "Q" if number % 10 else "F",
            "is_qualified": bool(number % 10),
            "parcel_count": 1,
            "year_built": None,
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
async def record(administrator: Connection) -> None:
    await stand_in(administrator)
    for county, count in (("benton", 120), ("grant", 40)):
        await fill(administrator, "ingest.parcel_v1", parcels(county, count))
        await fill(administrator, "ingest.sale_v1", sales(county, count))
    values = [
        {"county": "benton", "run_id": RUN, "parcel_id": f"benton-{number}", "value_usd": 350_000 + number}
        for number in range(120)
    ]
    for view in ("valuation.parcel_value_v1", "valuation.latest_value_v1"):
        await fill(administrator, view, values)


def stored(settings: ServiceSettings, job: dict[str, Any], name: str) -> bytes:
    folder = Path(settings.storage_url.removeprefix("file://"))
    path: Path = folder / "artifacts" / job["county"] / str(job["id"]) / str(job["attempt"]) / name
    return path.read_bytes()


async def test_a_ratio_study_becomes_a_pdf_with_the_figures_in_the_result(run: Run, settings: ServiceSettings) -> None:
    job = await run("benton", report="ratio_study", format="pdf")
    assert job["status"] == "succeeded", job["error"]
    qualified = [sale for sale in sales("benton", 120) if sale["is_qualified"]]
    estimates = [300_000 + 1_000 * int(sale["parcel_id"].rpartition("-")[2]) for sale in qualified]
    expected = ratio_study(estimates, [sale["sale_price_usd"] for sale in qualified])
    result = job["result"]
    assert (result["n"], result["left_out"]) == (108, 12)
    assert result["median_ratio"] == pytest.approx(expected.median)
    assert result["cod"] == pytest.approx(expected.cod)
    assert result["prb"] == pytest.approx(expected.prb)
    (artifact,) = job["artifacts"]
    content = stored(settings, job, "ratio_study.pdf")
    reader = pypdf.PdfReader(io.BytesIO(content))
    assert (artifact["bytes"], artifact["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert artifact["media_type"] == "application/pdf"
    assert result["pages"] == len(reader.pages)
    assert "Benton County, WA" in reader.pages[0].extract_text()


async def test_the_window_and_scope_are_kept(run: Run, settings: ServiceSettings) -> None:
    asked = {"from_date": "2024-02-01", "to_date": "2024-03-31", "use_codes": ["11"], "neighborhoods": ["N1"]}
    job = await run("benton", report="ratio_study", format="csv", arguments=asked)
    rows = list(csv.DictReader(io.StringIO(stored(settings, job, "ratio_study.csv").decode("utf-8-sig"))))
    assert len(rows) == job["result"]["n"] > 5
    assert {row["use_code"] for row in rows} == {"11"}
    assert {row["neighborhood"] for row in rows} == {"N1"}
    assert min(row["sale_date"] for row in rows) >= "2024-02-01"
    assert max(row["sale_date"] for row in rows) <= "2024-03-31"


@pytest.mark.parametrize("named", [{}, {"run_id": str(RUN)}])
async def test_values_of_a_valuation_are_studied_where_asked(
    run: Run, settings: ServiceSettings, named: dict[str, str]
) -> None:
    asked = {"value_source": "valuation", **named}
    job = await run("benton", report="ratio_study", format="csv", arguments=asked)
    rows = list(csv.DictReader(io.StringIO(stored(settings, job, "ratio_study.csv").decode("utf-8-sig"))))
    assert {float(row["estimate_usd"]) for row in rows} == {350_000.0 + n for n in range(120) if n % 10}


async def test_an_abstract_adds_up_the_active_roll(run: Run, settings: ServiceSettings) -> None:
    job = await run("benton", report="abstract_of_values", format="xlsx")
    assert job["status"] == "succeeded", job["error"]
    assert job["result"]["parcels"] == 119
    assert job["result"]["total_value_usd"] == sum(300_000 + 1_000 * number for number in range(1, 120))
    book = openpyxl.load_workbook(io.BytesIO(stored(settings, job, "abstract_of_values.xlsx")))
    assert book["By use code"]["A4"].value == "Total"
    assert book["By use code"]["B4"].value == 119


async def test_a_report_sees_its_own_county_and_its_legal_level(run: Run, settings: ServiceSettings) -> None:
    job = await run("grant", report="ratio_study", format="json")
    document = json.loads(stored(settings, job, "ratio_study.json"))
    figures = {figure["key"]: figure for figure in document["sections"][0]["figures"]}
    assert job["result"]["n"] == 36
    assert (figures["median"]["range_low"], figures["median"]["range_high"]) == (0.45, 0.55)
    assert dict(document["context"]["watermark"])["Parcels in the record"] == "40"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"report": "ratio_study", "arguments": {"from_date": "2031-01-01"}}, "too_few_sales"),
        ({"report": "abstract_of_values", "arguments": {"use_codes": ["77"]}}, "no_parcels"),
        (
            {"report": "ratio_study", "arguments": {"value_source": "valuation", "run_id": str(UUID(int=7))}},
            "run_unknown",
        ),
        ({"report": "ratio_study", "arguments": {"colour": "red"}}, "parameters_invalid"),
    ],
)
async def test_what_cannot_be_reported_fails_with_its_code(run: Run, parameters: dict[str, Any], code: str) -> None:
    job = await run("benton", **parameters)
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert job["artifacts"] == []


async def test_every_report_is_registered_once_with_what_it_saw(
    run: Run, settings: ServiceSettings, administrator: Connection
) -> None:
    jobs = [await run("benton", report="ratio_study", format="json") for _ in range(2)]
    found = await administrator.fetch(
        "SELECT *, watermark ->> 'changed_at' AS changed_at FROM reporting.report_run WHERE job_id = ANY($1)",
        [job["id"] for job in jobs],
    )
    assert len(found) == 2
    assert len({row["definition_hash"] for row in found}) == 1
    assert {row["changed_at"] for row in found} == {"2026-01-02T03:04:00+00:00"}
    assert all(json.loads(row["summary"])["n"] == 108 for row in found)


async def test_the_register_of_one_county_is_hidden_from_another(run: Run, settings: ServiceSettings) -> None:
    await run("benton", report="ratio_study", format="json")
    database = Database(settings.operational_db_url.get_secret_value(), service="reporting")
    await database.open()
    async with database.read("grant") as connection:
        counties = await connection.fetch("SELECT DISTINCT county FROM reporting.report_run")
    await database.close()
    assert {row["county"] for row in counties} <= {"grant"}


async def test_a_cancelled_job_leaves_no_report(run: Run, settings: ServiceSettings, administrator: Connection) -> None:
    """Cancelled while it waits for the record, which another transaction holds."""
    holder = administrator.transaction()
    await holder.start()
    await administrator.execute("LOCK TABLE ingest.parcel_v1 IN ACCESS EXCLUSIVE MODE")
    asked = asyncio.ensure_future(run("grant", report="abstract_of_values", format="json"))
    running = await running_job(administrator)
    await administrator.execute("UPDATE chassis.job SET status = 'cancelling' WHERE id = $1", running)
    await holder.commit()
    job = await asked
    registered = await administrator.fetchval("SELECT count(*) FROM reporting.report_run WHERE job_id = $1", job["id"])
    assert job["status"] == "cancelled"
    assert registered == 0


async def running_job(administrator: Connection) -> UUID:
    async with asyncio.timeout(30):
        while True:
            found = await administrator.fetchval(
                "SELECT id FROM chassis.job WHERE county = 'grant' AND status = 'running'"
            )
            if found is not None:
                return UUID(str(found))
            await asyncio.sleep(0.02)  # between two looks at the condition
