"""Schedules over HTTP; when they are due is tested with the chassis."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from chassis.outbox import new_id
from tests.support.gateways import opened
from tests.support.jobs import Office

Client = Callable[[str], Awaitable[httpx.AsyncClient]]
ROUTE = "/api/v1/schedules"
NIGHTLY = {
    "county": "benton", "name": "nightly", "kind": "sync", "parameters": {"pair": "benton_pacs", "mode": "full"},
    "cron": "30 2 * * *",
}  # fmt: skip


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])


async def listed(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(ROUTE, params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        cursor = {"cursor": answer.json()["next"]}


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def no_schedules(office: Office) -> None:
    async with opened(office.database_url, "gateway") as gateway, gateway.begin("*") as unit:
        await unit.connection.execute("DELETE FROM chassis.schedule")


async def test_a_schedule_from_its_beginning_to_its_end(client_of: Client) -> None:
    client = await client_of("ann")
    made = await client.post(ROUTE, json=NIGHTLY)
    assert made.status_code == 201, made.text
    schedule = made.json()
    place = made.headers["location"]
    assert place == f"{ROUTE}/{schedule['id']}"
    assert (schedule["time_zone"], schedule["origin"], schedule["created_by"]) == ("America/Los_Angeles", "api", "ann")
    assert schedule["next_due_at"].endswith("Z")
    assert schedule["next_due_at"][11:16] in {"09:30", "10:30"}  # 2:30 there, in summer or in winter
    paused = (await client.post(f"{place}/pause")).json()
    assert (paused["is_paused"], paused["paused_by"]) == (True, "ann")
    resumed = (await client.post(f"{place}/resume")).json()
    assert (resumed["is_paused"], resumed["paused_by"], resumed["next_due_at"]) == (
        False, None, schedule["next_due_at"],
    )  # fmt: skip
    assert (await client.delete(place)).status_code == 204
    assert await listed(client) == []
    assert code(await client.delete(place), 404) == "schedule_unknown"


async def test_running_one_now_is_a_job_of_who_asks(client_of: Client) -> None:
    client = await client_of("ann")
    place = (await client.post(ROUTE, json=NIGHTLY)).headers["location"]
    headers = {"Idempotency-Key": str(new_id())}
    job = (await client.post(f"{place}/run", headers=headers)).json()
    assert (job["kind"], job["parameters"], job["requested_by"]) == ("sync", NIGHTLY["parameters"], "ann")
    assert (await client.post(f"{place}/run", headers=headers)).json()["id"] == job["id"]
    assert (await client.post(f"{place}/run")).json()["id"] != job["id"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_a_list_by_kind_page_by_page(client_of: Client, limit: int) -> None:
    ann, fay = await client_of("ann"), await client_of("fay")
    for name in ("a", "b"):
        await ann.post(ROUTE, json={**NIGHTLY, "name": name})
    market = {"county": "benton", "name": "c", "kind": "market", "every_seconds": 3600}
    assert (await ann.post(ROUTE, json=market)).status_code == 201
    franklin = {**market, "county": "franklin"}
    assert (await fay.post(ROUTE, json=franklin)).status_code == 201
    assert [item["name"] for item in await listed(ann, limit=limit)] == ["a", "b", "c"]
    assert [item["name"] for item in await listed(ann, limit=limit, kind="sync")] == ["a", "b"]
    assert [item["name"] for item in await listed(await client_of("lyn"), limit=limit)] == ["c"]  # no sync:read
    everywhere = await listed(await client_of("root"), limit=limit)
    assert [(item["county"], item["name"]) for item in everywhere] == [
        ("benton", "a"), ("benton", "b"), ("benton", "c"), ("franklin", "c"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status", "expected"),
    [
        ({"cron": "61 2 * * *"}, 422, "cron_invalid"),
        ({"cron": "0 0 30 2 *"}, 422, "cron_invalid"),
        ({"every_seconds": 60}, 422, "validation_failed"),
        ({"name": "Not A Name"}, 422, "validation_failed"),
        ({"kind": "nothing"}, 422, "validation_failed"),
        ({"parameters": {"pair": "benton_erp"}}, 404, "pair_unknown"),
        ({"parameters": {"pair": "benton_pacs", "mod": "full"}}, 422, "parameters_invalid"),
        ({"parameters": {}}, 422, "parameters_invalid"),
        ({"county": "franklin"}, 403, "county_forbidden"),
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused(
    client_of: Client, changed: dict[str, Any], status: int, expected: str
) -> None:
    client = await client_of("ann")
    assert code(await client.post(ROUTE, json={**NIGHTLY, **changed}), status) == expected
    assert await listed(client) == []


async def test_a_name_is_taken_once(client_of: Client) -> None:
    client = await client_of("ann")
    assert (await client.post(ROUTE, json=NIGHTLY)).status_code == 201
    assert code(await client.post(ROUTE, json={**NIGHTLY, "cron": "0 4 * * *"}), 409) == "schedule_exists"


async def test_a_schedule_of_a_file_is_paused_and_not_removed(client_of: Client, office: Office) -> None:
    client = await client_of("ann")
    place = (await client.post(ROUTE, json=NIGHTLY)).headers["location"]
    async with opened(office.database_url, "gateway") as gateway, gateway.begin("benton") as unit:
        await unit.connection.execute("UPDATE chassis.schedule SET origin = 'county_file'")
    assert code(await client.delete(place), 409) == "schedule_declared"
    assert (await client.post(f"{place}/pause")).json()["is_paused"] is True


async def test_schedules_are_for_those_who_may_ask_for_their_jobs(client_of: Client) -> None:
    place = (await (await client_of("ann")).post(ROUTE, json=NIGHTLY)).headers["location"]
    lyn, fay = await client_of("lyn"), await client_of("fay")
    assert code(await lyn.post(ROUTE, json={**NIGHTLY, "name": "mine"}), 403) == "permission_denied"
    for verb in ("pause", "resume", "run"):
        assert code(await lyn.post(f"{place}/{verb}"), 403) == "permission_denied"
        assert code(await fay.post(f"{place}/{verb}"), 404) == "schedule_unknown"  # another county's
        assert code(await fay.post(f"{ROUTE}/no-id/{verb}"), 422) == "validation_failed"
    assert code(await lyn.delete(place), 403) == "permission_denied"
    assert code(await fay.delete(place), 404) == "schedule_unknown"
    assert code(await (await client_of("")).get(ROUTE), 401) == "token_missing"
    assert code(await fay.get(ROUTE, params={"cursor": "x"}), 422) == "cursor_invalid"
