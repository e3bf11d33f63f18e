import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.jobs import Office

Client = Callable[[str], Awaitable[httpx.AsyncClient]]
NOWHERE = "0190c0de-0000-7000-8000-000000000000"


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


async def run(client: httpx.AsyncClient, wish: str = "succeed", county: str = "benton") -> str:
    body = {"county": county, "parameters": {"segments": [wish]}}
    answer = await client.post("/api/v1/market/run", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def finished(client: httpx.AsyncClient, office: Office, wish: str = "succeed") -> str:
    job_id = await run(client, wish)
    await office.ended(UUID(job_id))
    return job_id


async def test_a_job_from_request_to_results(client_of: Client, worker: None, office: Office) -> None:
    client = await client_of("ann")
    job_id = await finished(client, office)
    job = (await client.get(f"/api/v1/jobs/{job_id}")).json()
    assert job["status"] == "succeeded"
    assert job["attempt"] == 1
    assert job["started_at"] <= job["finished_at"]
    assert job["finished_at"].endswith("Z")
    results = (await client.get(f"/api/v1/jobs/{job_id}/results")).json()
    assert results["result"] == {"segments": 1}
    assert [artifact["name"] for artifact in results["artifacts"]] == ["study.bin"]
    assert (await client.get(f"/api/v1/market/results/{job_id}")).json() == results
    assert (await client.get(f"/api/v1/market/status/{job_id}")).json() == job
    assert code(await client.get(f"/api/v1/valuation/status/{job_id}"), 404) == "job_not_found"


async def test_a_failed_job_says_why(client_of: Client, worker: None, office: Office) -> None:
    client = await client_of("ann")
    job_id = await finished(client, office, "fail")
    answer = await client.get(f"/api/v1/market/results/{job_id}")
    assert code(answer, 409) == "job_failed"
    error = {"code": "too_few_sales", "message": "there are too few sales", "details": {"sales": 3}}
    assert answer.json()["details"]["error"] == error
    assert (await client.get(f"/api/v1/jobs/{job_id}")).json()["error"] == error


async def test_a_running_job_is_asked_to_stop(client_of: Client, worker: None, office: Office) -> None:
    client = await client_of("ann")
    job_id = await run(client, "wait")
    await office.reached(UUID(job_id), "running")
    assert code(await client.get(f"/api/v1/jobs/{job_id}/results"), 409) == "job_not_finished"
    answers = await asyncio.gather(*(client.post(f"/api/v1/jobs/{job_id}/cancel") for _ in range(3)))
    assert answers[0].status_code == 202
    assert {answer.json().get("status", 409) for answer in answers} <= {"cancelling", 409}
    await office.reached(UUID(job_id), "cancelled")
    assert code(await client.get(f"/api/v1/jobs/{job_id}/results"), 409) == "job_cancelled"
    assert code(await client.post(f"/api/v1/jobs/{job_id}/cancel"), 409) == "job_ended"
    await office.outbox_is_empty()
    facts = await office.facts(UUID(job_id))
    assert facts.count("cancel_requested") == facts.count("cancelled") == 1


async def test_a_waiting_job_ends_at_once(client_of: Client, office: Office) -> None:
    client = await client_of("ann")
    body = {"county": "benton", "parameters": {"scope": {"all": True}}}
    job_id = (await client.post("/api/v1/valuation/run", json=body)).json()["id"]
    answer = await client.post(f"/api/v1/jobs/{job_id}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["finished_at"] is not None
    await office.outbox_is_empty()
    assert await office.facts(UUID(job_id)) == ["requested", "cancelled"]


async def test_only_what_ended_without_success_can_be_started_again(
    client_of: Client, worker: None, office: Office
) -> None:
    client = await client_of("ann")
    failed, succeeded = await finished(client, office, "fail"), await finished(client, office)
    answer = await client.post(f"/api/v1/jobs/{failed}/retry")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/jobs/{failed}"
    assert answer.json()["error"] is None
    row = await office.ended(UUID(failed))
    assert (row["status"], row["attempt"]) == ("failed", 2)
    assert code(await client.post(f"/api/v1/jobs/{succeeded}/retry"), 409) == "job_not_retryable"


async def test_a_job_that_is_started_again_has_as_much_time_again(client_of: Client, office: Office) -> None:
    client = await client_of("ann")
    body = {"county": "benton", "parameters": {"scope": {"all": True}}, "deadline_seconds": 3600}
    job_id = (await client.post("/api/v1/valuation/run", json=body)).json()["id"]
    async with office.database.begin("benton") as unit:  # what was asked for, a day ago
        await unit.connection.execute(
            "UPDATE chassis.job SET created_at = created_at - interval '1 day', deadline = deadline - interval '1 day'"
            " WHERE id = $1",
            UUID(job_id),
        )
    for restart in (1, 2):
        assert (await client.post(f"/api/v1/jobs/{job_id}/cancel")).json()["status"] == "cancelled"
        before = datetime.now(UTC)
        job = (await client.post(f"/api/v1/jobs/{job_id}/retry")).json()
        seconds = (datetime.fromisoformat(job["deadline"]) - before).total_seconds()
        assert 3590 < seconds < 3660, restart


async def test_a_job_that_is_cancelled_restarted_and_cancelled_again_says_so_twice(
    client_of: Client, office: Office
) -> None:
    client = await client_of("ann")
    body = {"county": "benton", "parameters": {"scope": {"all": True}}}
    job_id = (await client.post("/api/v1/valuation/run", json=body)).json()["id"]
    for path in ("cancel", "retry", "cancel"):
        assert (await client.post(f"/api/v1/jobs/{job_id}/{path}")).status_code == 202
    await office.outbox_is_empty()
    assert await office.facts(UUID(job_id)) == ["requested", "cancelled", "requested", "cancelled"]


@pytest.mark.parametrize("path", ["", "/results", "/events", "/artifacts/study.bin"])
async def test_a_job_of_another_county_is_not_there(client_of: Client, worker: None, office: Office, path: str) -> None:
    job_id = await finished(await client_of("ann"), office)
    fay = await client_of("fay")
    hidden = await fay.get(f"/api/v1/jobs/{job_id}{path}")
    absent = await fay.get(f"/api/v1/jobs/{NOWHERE}{path}")
    assert code(hidden, 404) == code(absent, 404) == "job_not_found"
    assert hidden.json()["detail"].replace(job_id, NOWHERE) == absent.json()["detail"]
    assert (await (await client_of("two")).get(f"/api/v1/jobs/{job_id}")).status_code == 200
    assert (await (await client_of("root")).get(f"/api/v1/jobs/{job_id}")).status_code == 200


@pytest.mark.parametrize("path", ["cancel", "retry"])
async def test_who_may_only_read_changes_nothing(client_of: Client, worker: None, office: Office, path: str) -> None:
    job_id = await finished(await client_of("ann"), office, "fail")
    assert code(await (await client_of("vic")).get(f"/api/v1/jobs/{job_id}"), 403) == "permission_denied"
    assert code(await (await client_of("vic")).post(f"/api/v1/jobs/{job_id}/{path}"), 403) == "permission_denied"
    assert code(await (await client_of("fay")).post(f"/api/v1/jobs/{job_id}/{path}"), 404) == "job_not_found"


async def test_an_id_that_is_none(client_of: Client) -> None:
    answer = await (await client_of("ann")).get("/api/v1/jobs/42")
    assert code(answer, 422) == "validation_failed"
    assert answer.json()["errors"][0]["field"] == "job_id"


async def pages(client: httpx.AsyncClient, path: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(path, params={"limit": limit, **query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


@pytest.mark.parametrize("limit", [1, 7, 23, 24, 200])
async def test_pages_are_complete_and_without_repetition(client_of: Client, office: Office, limit: int) -> None:
    known = await office.fetchval("SELECT count(*) FROM chassis.job WHERE county = 'franklin'")
    if not known:  # eight rows share each created_at
        async with office.database.begin("franklin") as unit:
            await unit.connection.execute(
                "INSERT INTO chassis.job"
                " (county, id, kind, status, parameters, request_digest, requested_by, created_at)"
                " SELECT 'franklin', gen_random_uuid(), CASE n % 2 WHEN 0 THEN 'market' ELSE 'valuation' END,"
                "  CASE WHEN n < 5 THEN 'cancelled' ELSE 'succeeded' END, '{}', '', 'fay',"
                "  now() - (n / 8) * interval '1 s'"
                " FROM generate_series(1, 23) n"
            )
    client = await client_of("fay")
    jobs = await pages(client, "/api/v1/jobs", limit)
    assert len({job["id"] for job in jobs}) == len(jobs) == 23
    order = [(job["created_at"], job["id"]) for job in jobs]
    assert order == sorted(order, reverse=True)
    assert {job["county"] for job in jobs} == {"franklin"}
    assert len(await pages(client, "/api/v1/jobs", limit, kind="market")) == 11
    assert len(await pages(client, "/api/v1/jobs", limit, status="cancelled")) == 4
    root = await pages(await client_of("root"), "/api/v1/jobs", 200)
    assert {job["county"] for job in root} >= {"franklin"}


async def test_a_list_of_jobs_asks_for_the_county_where_there_are_several(client_of: Client) -> None:
    two = await client_of("two")
    answer = await two.get("/api/v1/jobs")
    assert code(answer, 422) == "county_required"
    assert answer.json()["details"]["counties"] == ["benton", "franklin"]
    assert (await two.get("/api/v1/jobs", params={"county": "franklin"})).status_code == 200
    assert code(await two.get("/api/v1/jobs", params={"county": "yakima"}), 403) == "county_forbidden"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 0}, "validation_failed"),
        ({"limit": 201}, "validation_failed"),
        ({"kind": "alchemy"}, "validation_failed"),
        ({"kinds": "market"}, "validation_failed"),
        ({"cursor": "nonsense"}, "cursor_invalid"),
        ({"cursor": "WyJhIiwiYiJd"}, "cursor_invalid"),
    ],
)
async def test_a_list_with_wrong_filters_is_refused(client_of: Client, query: dict[str, Any], expected: str) -> None:
    assert code(await (await client_of("ann")).get("/api/v1/jobs", params=query), 422) == expected


async def test_a_vendor_lists_only_exports(client_of: Client, office: Office) -> None:
    await run(await client_of("ann"))
    vic = await client_of("vic")
    body = {"county": "benton", "parameters": {"format": "geojson"}}
    asked = (await vic.post("/api/v1/gis-export/run", json=body)).json()["id"]
    listed = await pages(vic, "/api/v1/jobs", 50)
    assert asked in {job["id"] for job in listed}
    assert {job["kind"] for job in listed} == {"gis_export"}
    assert json.dumps(listed).count("market") == 0
