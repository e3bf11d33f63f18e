import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.outbox import OutboxMessage, new_id
from services.gateway.queries import insert_job
from tests.support.gateways import GatewayUnderTest
from tests.support.jobs import Office
from tests.support.waiting import eventually

Client = Callable[[str], Awaitable[httpx.AsyncClient]]
BODY = {"county": "benton", "parameters": {"segments": ["1010"]}}
RUN = "/api/v1/market/run"


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


def fields(answer: httpx.Response) -> list[str]:
    assert code(answer, 422) == "validation_failed"
    return [error["field"] for error in answer.json()["errors"]]


async def test_a_run_is_accepted_recorded_and_published(client_of: Client, office: Office) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await (await client_of("ann")).post(RUN, json=BODY, headers={"traceparent": traceparent})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["traceparent"].split("-")[1] == job["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (job["kind"], job["status"], job["county"], job["attempt"]) == ("market", "queued", "benton", 0)
    assert job["parameters"] == BODY["parameters"]
    assert job["requested_by"] == "ann"
    assert job["created_at"].endswith("Z")
    await office.outbox_is_empty()
    [message] = [m for m in await office.messages("JOBS") if m.headers["ce-subject"] == job["id"]]
    assert message.subject == "job.market.requested.benton"
    assert message.headers["Nats-Msg-Id"] == message.headers["ce-id"] == job["id"]
    assert message.headers["ce-type"] == "job.market.requested"
    assert message.headers["ce-source"] == "/terrafusion/gateway"
    assert message.headers["traceparent"].split("-")[1] == job["trace_id"]
    assert json.loads(message.data)["parameters"] == BODY["parameters"]


@pytest.mark.parametrize(
    ("route", "parameters"),
    [
        ("valuation", {"scope": {"all": True}, "model": "hedonic"}),
        ("market", {}),
        ("reporting", {"report": "ratio_study", "format": "xlsx", "arguments": {"from_date": "2024-01-01"}}),
        ("gis-export", {"format": "geojson", "filters": {"year_built": {"min": 1990}}}),
        ("sync", {"pair": "benton_pacs", "mode": "full"}),
    ],
)
async def test_every_kind_can_be_asked_for(client_of: Client, route: str, parameters: dict[str, Any]) -> None:
    client = await client_of("ann")
    answer = await client.post(f"/api/v1/{route}/run", json={"county": "benton", "parameters": parameters})
    assert answer.status_code == 202, answer.text
    assert answer.json()["parameters"] == parameters
    assert answer.json()["kind"] == route.replace("-", "_")
    status = await client.get(f"/api/v1/{route}/status/{answer.json()['id']}")
    assert status.json()["id"] == answer.json()["id"]
    assert code(await client.get(f"/api/v1/{route}/results/{answer.json()['id']}"), 409) == "job_not_finished"


async def test_deadline_and_priority_are_kept(client_of: Client) -> None:
    client = await client_of("ann")
    job = (await client.post(RUN, json={**BODY, "deadline_seconds": 60, "priority": "high"})).json()
    assert job["deadline"] > job["created_at"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"county": "benton", "parameters": {}, "colour": "red"}, ["colour"]),
        ({"county": "benton", "parameters": {"segment": ["1010"]}}, ["parameters.segment"]),
        ({"county": "benton", "parameters": {"from_date": "yesterday"}}, ["parameters.from_date"]),
        ({"county": "benton", "parameters": {"from_date": "2025-01-01", "to_date": "2024-01-01"}}, ["parameters"]),
        ({"county": "benton", "parameters": []}, ["parameters"]),
        ({"county": "../etc", "parameters": {}}, ["county"]),
        ({"county": "benton\n", "parameters": {}}, ["county"]),
        ({"parameters": {}}, ["county"]),
        ({"county": "benton", "deadline_seconds": 0}, ["deadline_seconds"]),
        ({"county": "benton", "priority": "urgent"}, ["priority"]),
        ([], ["body"]),
    ],
)
async def test_fields_that_are_wrong_are_named(client_of: Client, body: Any, expected: list[str]) -> None:
    assert fields(await (await client_of("ann")).post(RUN, json=body)) == expected


async def test_fields_deep_in_the_parameters_are_named(client_of: Client) -> None:
    client = await client_of("ann")
    scope = {"county": "benton", "parameters": {"scope": {"all": True, "some": 1}}}
    assert fields(await client.post("/api/v1/valuation/run", json=scope)) == ["parameters.scope.some"]
    missing = {"county": "benton"}
    assert fields(await client.post("/api/v1/valuation/run", json=missing)) == ["parameters.scope"]
    arguments = {"county": "benton", "parameters": {"report": "ratio_study", "arguments": {"by": "x"}}}
    found = fields(await client.post("/api/v1/reporting/run", json=arguments))
    assert all(field.startswith("parameters.arguments") for field in found)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"county": benton}', b"\xff\xfe", b"[" * 100_000, b'{"county": "\\ud800"}']
)
async def test_what_is_not_json_is_refused(client_of: Client, content: bytes) -> None:
    client = await client_of("ann")
    answer = await client.post(RUN, content=content, headers={"Content-Type": "application/json"})
    assert code(answer, 400) == "json_malformed"


async def test_values_are_never_echoed(client_of: Client) -> None:
    client = await client_of("")
    answer = await client.post("/auth/login", json={"username": "ann", "password": ["my secret"]})
    assert fields(answer) == ["password"]
    assert "my secret" not in answer.text


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
async def test_text_that_cannot_be_stored_is_refused(client_of: Client, text: str) -> None:
    client = await client_of("ann")
    content = json.dumps({"county": "benton", "parameters": {"segments": [text]}})
    answer = await client.post(RUN, content=content, headers={"Content-Type": "application/json"})
    assert code(answer, 422) == "value_unstorable"


async def test_a_large_body_is_refused_by_its_declared_length(client_of: Client) -> None:
    content = json.dumps({"county": "benton", "parameters": {"segments": ["x" * 1_100_000]}})
    assert code(await (await client_of("ann")).post(RUN, content=content), 413) == "body_too_large"


async def test_a_large_body_is_refused_without_a_declared_length(client_of: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"county": "benton", "parameters": {"segments": ["'
        for _ in range(40):
            yield b"x" * 65_536
        yield b'"]}}'

    client = await client_of("ann")
    answer = await client.post(RUN, content=chunks(), headers={"Content-Type": "application/json"})
    assert code(answer, 413) == "body_too_large"


async def test_counties_that_a_caller_has_no_grant_for_look_alike(client_of: Client) -> None:
    ann, root = await client_of("ann"), await client_of("root")
    forbidden = await ann.post(RUN, json={**BODY, "county": "franklin"})
    unknown = await ann.post(RUN, json={**BODY, "county": "atlantis"})
    assert code(forbidden, 403) == code(unknown, 403) == "county_forbidden"
    assert forbidden.json()["detail"].replace("franklin", "atlantis") == unknown.json()["detail"]
    assert code(await root.post(RUN, json={**BODY, "county": "atlantis"}), 404) == "county_unknown"
    assert (await root.post(RUN, json={**BODY, "county": "franklin"})).status_code == 202


async def test_a_kind_that_the_caller_may_not_run(client_of: Client) -> None:
    assert code(await (await client_of("vic")).post(RUN, json=BODY), 403) == "permission_denied"
    body = {"county": "benton", "parameters": {"pair": "benton_pacs"}}
    assert code(await (await client_of("lyn")).post("/api/v1/sync/run", json=body), 403) == "permission_denied"
    assert code(await (await client_of("nobody")).post(RUN, json=BODY), 403) == "county_forbidden"


async def test_unknown_routes_kinds_and_methods(client_of: Client) -> None:
    client = await client_of("ann")
    assert code(await client.post("/api/v1/alchemy/run", json=BODY), 404) == "route_not_found"
    assert code(await client.get("/nothing"), 404) == "route_not_found"
    refused = await client.put(RUN, json=BODY)
    assert code(refused, 405) == "method_not_allowed"
    assert refused.headers["allow"] == "POST"


async def test_one_key_is_one_job_even_side_by_side(client_of: Client, office: Office) -> None:
    client = await client_of("ann")
    headers = {"Idempotency-Key": "twenty"}
    answers = await asyncio.gather(*(client.post(RUN, json=BODY, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    [job_id] = {answer.json()["id"] for answer in answers}
    assert {answer.headers["location"] for answer in answers} == {f"/api/v1/jobs/{job_id}"}
    assert await office.fetchval("SELECT count(*) FROM chassis.job WHERE idempotency_key = 'twenty'") == 1
    await office.outbox_is_empty()
    assert await office.facts(job_id) == ["requested"]


async def test_a_key_with_another_request_is_refused(client_of: Client) -> None:
    client = await client_of("ann")
    headers = {"Idempotency-Key": "other"}
    first = await client.post(RUN, json=BODY, headers=headers)
    reordered = json.dumps({"parameters": BODY["parameters"], "county": "benton"}, indent=3)
    same = await client.post(RUN, content=reordered, headers={**headers, "Content-Type": "application/json"})
    assert same.json()["id"] == first.json()["id"]
    for path, body in (
        (RUN, {**BODY, "parameters": {}}),
        (RUN, {**BODY, "priority": "high"}),
        ("/api/v1/valuation/run", {"county": "benton", "parameters": {"scope": {"all": True}}}),
    ):
        assert code(await client.post(path, json=body, headers=headers), 409) == "idempotency_key_reused"


async def test_keys_of_different_callers_and_counties_stay_apart(client_of: Client) -> None:
    headers = {"Idempotency-Key": "apart"}
    ann, ben, root = await client_of("ann"), await client_of("ben"), await client_of("root")
    answers = [
        await ann.post(RUN, json=BODY, headers=headers),
        await ben.post(RUN, json=BODY, headers=headers),
        await root.post(RUN, json={**BODY, "county": "franklin"}, headers=headers),
    ]
    assert len({answer.json()["id"] for answer in answers}) == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_an_idempotency_key_has_a_form(client_of: Client, key: str) -> None:
    answer = await (await client_of("ann")).post(RUN, json=BODY, headers={"Idempotency-Key": key})
    assert code(answer, 422) == "idempotency_key_invalid"


async def test_row_level_security_shows_nothing_without_a_county(client_of: Client, office: Office) -> None:
    job_id = (await (await client_of("ann")).post(RUN, json=BODY)).json()["id"]
    pool = office.database.pool
    assert await pool.fetchval("SELECT count(*) FROM chassis.job") == 0
    assert await pool.fetchval("SELECT count(*) FROM gateway.user_grant") == 0
    for county, expected in (("benton", 1), ("franklin", 0)):
        async with office.database.read(county) as connection:
            assert await connection.fetchval("SELECT count(*) FROM chassis.job WHERE id = $1", job_id) == expected


async def test_accepting_a_job_leaves_no_county_behind_on_the_connection(office: Office) -> None:
    job = {"id": new_id(), "kind": "market", "priority": "normal", "parameters": {}, "request_digest": "x"}
    job |= {"idempotency_key": None, "requested_by": "ann", "deadline": None, "traceparent": None}
    message = OutboxMessage(job["id"], "benton", "job.market.requested.benton", {}, "{}")
    async with office.database.pool.acquire() as connection:
        assert await insert_job(connection, "benton", job, message) is not None
        assert not await connection.fetchval("SELECT current_setting('terrafusion.county', true)")
        assert await connection.fetchval("SELECT count(*) FROM chassis.job") == 0


async def test_row_level_security_refuses_a_row_of_another_county(office: Office) -> None:
    statement = (
        "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by)"
        " VALUES ('franklin', $1, 'market', '{}', '', 'ann')"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with office.database.begin("benton") as unit:
            await unit.connection.execute(statement, new_id())
    assert (
        await office.fetchval("SELECT count(*) FROM chassis.job WHERE county = 'franklin' AND id = $1", new_id()) == 0
    )


async def test_submissions_are_counted(client_of: Client, gateway: GatewayUnderTest) -> None:
    client = await client_of("ann")

    async def counted() -> float:
        text = (await client.get("/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith('market_jobs_submitted_total{county="benton"}')]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    before = await counted()
    await client.post(RUN, json=BODY)

    async def one_more() -> bool:
        return await counted() == before + 1

    assert await eventually(one_more, "the submission is counted")
