import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.migrations import upgrade
from tests.support.gateways import GatewayUnderTest, gateway_settings, opened, running_gateway, write_accounts
from tests.support.jobs import Office
from tests.support.servers import FAST, server_folder
from tests.support.waiting import eventually

Client = Callable[[str], Awaitable[httpx.AsyncClient]]


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


@pytest.mark.parametrize(
    "path", ["/", "/health", "/gateway-health", "/ready", "/metrics", "/gateway-metrics", "/docs", "/openapi.json"]
)
async def test_operations_need_no_token(client_of: Client, path: str) -> None:
    assert (await (await client_of("")).get(path)).status_code == 200


async def test_the_status_tells_of_the_caller_s_counties(client_of: Client) -> None:
    status = (await (await client_of("ann")).get("/api/status")).json()
    assert (status["status"], status["database"], status["bus"]) == ("ok", "ok", "ok")
    assert status["counties"] == ["benton"]
    assert (await (await client_of("root")).get("/api/status")).json()["counties"] == ["benton", "franklin"]


async def test_system_metrics(client_of: Client) -> None:
    found = (await (await client_of("ann")).get("/api/metrics/system")).json()
    assert found["memory_bytes"] > 10_000_000
    assert found["outbox_lag_seconds"] >= 0
    assert found["processors"] >= 1


@pytest.mark.parametrize("mode", ["full", "incremental"])
async def test_a_synchronisation_is_a_job(client_of: Client, office: Office, mode: str) -> None:
    client = await client_of("ann")
    answer = await client.post(f"/api/sync/{mode}", json={"county": "benton", "pair": "benton_pacs"})
    assert answer.status_code == 202
    assert answer.json()["kind"] == "sync"
    assert answer.json()["parameters"] == {"pair": "benton_pacs", "mode": mode}
    row = await office.job(UUID(answer.json()["id"]))
    assert row["parameters"]["mode"] == mode
    for path in ("/api/sync-operations", "/api/sync/operations"):
        listed = (await client.get(path, params={"pair": "benton_pacs"})).json()["items"]
        assert listed[0]["id"] == answer.json()["id"]
        assert (listed[0]["mode"], listed[0]["status"], listed[0]["rows_read"]) == (mode, "queued", 0)


async def test_synchronisation_by_those_who_may(client_of: Client) -> None:
    body = {"county": "benton", "pair": "benton_pacs"}
    assert code(await (await client_of("lyn")).post("/api/sync/full", json=body), 403) == "permission_denied"
    assert code(await (await client_of("fay")).post("/api/sync/full", json=body), 403) == "county_forbidden"
    assert code(await (await client_of("vic")).get("/api/sync-operations"), 403) == "permission_denied"
    assert code(await (await client_of("ann")).post("/api/sync/full", json={"county": "benton"}), 422)


async def test_pairs_of_the_caller_s_county(client_of: Client, office: Office) -> None:
    async with opened(office.database_url, "ingest") as ingest:
        for county in ("benton", "franklin"):
            async with ingest.begin(county) as unit:
                await unit.connection.execute(
                    "INSERT INTO ingest.sync_pair (county, pair, reader, tables) VALUES ($1, $1 || '_pacs', 'sql', $2)",
                    county,
                    ["sale"],
                )
    ann = (await (await client_of("ann")).get("/api/sync-pairs")).json()["items"]
    told = [(pair["pair"], pair["reader"], pair["tables"]) for pair in ann]
    assert told == [("benton_gis", "auto", ["parcel"]), ("benton_pacs", "sql", ["sale"])]  # one has not run yet
    root = (await (await client_of("root")).get("/api/sync-pairs")).json()["items"]
    assert [pair["county"] for pair in root] == ["benton", "benton", "franklin", "franklin"]


async def test_export_formats_and_defaults(client_of: Client) -> None:
    client = await client_of("vic")
    formats = (await client.get("/api/v1/gis-export/formats/benton")).json()
    assert formats == {"county": "benton", "formats": ["gpkg", "geojson"], "default_format": "geojson"}
    defaults = (await client.get("/api/v1/gis-export/defaults/benton")).json()
    assert (defaults["format"], defaults["crs"]) == ("geojson", "EPSG:2927")
    assert code(await client.get("/api/v1/gis-export/formats/franklin"), 403) == "county_forbidden"
    assert code(await client.get("/api/v1/gis-export/formats/..%2f..%2fetc"), 404) == "route_not_found"
    root = await client_of("root")
    assert code(await root.get("/api/v1/gis-export/defaults/atlantis"), 404) == "county_unknown"
    assert code(await root.get("/api/v1/gis-export/defaults/%2e%2e%00"), 404) == "county_unknown"


async def test_an_unexpected_error_tells_nothing_of_the_inside(
    client_of: Client, gateway: GatewayUnderTest, folder: Path
) -> None:
    path = folder / "counties" / "benton" / "county.yaml"
    before = path.read_bytes()
    try:
        path.write_bytes(b"\xff\xfe\x00 no text at all")
        answer = await (await client_of("vic")).get("/api/v1/gis-export/formats/benton")
    finally:
        path.write_bytes(before)
    assert code(answer, 500) == "internal_error"
    assert "Traceback" not in answer.text
    assert "yaml" not in answer.text


async def test_the_openapi_describes_parameters_and_problems(client_of: Client) -> None:
    document = (await (await client_of("")).get("/openapi.json")).json()
    run = document["paths"]["/api/v1/valuation/run"]["post"]
    name = run["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert "scope" in document["components"]["schemas"]["ValuationParameters"]["properties"]
    assert name == "ValuationRunRequest"
    assert run["security"] == [{"bearer": []}]
    assert run["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/Job")
    assert {"Problem", "Parcel", "Tokens"} <= set(document["components"]["schemas"])
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations))


async def test_a_database_that_goes_away_and_comes_back(bus_url: str, folder: Path) -> None:
    with server_folder() as place, EmbeddedPostgres(place / "postgres", settings=FAST) as server:
        url = server.create_database("terrafusion")
        await asyncio.to_thread(upgrade, url)
        await write_accounts(url)
        async with (
            running_gateway(gateway_settings(url, bus_url, folder)) as gateway,
            await gateway.client("ann") as ann,
        ):
            body = {"county": "benton", "parameters": {}}
            assert (await ann.post("/api/v1/market/run", json=body)).status_code == 202
            await asyncio.to_thread(server.stop)
            for answer in (await ann.post("/api/v1/market/run", json=body), await ann.get("/api/v1/jobs")):
                assert code(answer, 503) == "database_unavailable"
                assert int(answer.headers["retry-after"]) > 0
            assert (await ann.get("/health")).status_code == 200
            assert (await ann.get("/ready")).status_code == 503
            assert (await ann.get("/api/status")).json()["status"] == "degraded"
            await asyncio.to_thread(server.start)

            async def accepted() -> bool:
                return (await ann.post("/api/v1/market/run", json=body)).status_code == 202

            assert await eventually(accepted, "jobs are accepted again")


async def test_a_bus_that_goes_away_keeps_no_job_from_being_accepted(
    client_of: Client, office: Office, module_nats: EmbeddedNats
) -> None:
    client = await client_of("ann")
    body = {"county": "benton", "parameters": {"scope": {"all": True}}}
    await asyncio.to_thread(module_nats.stop)
    try:
        answer = await client.post("/api/v1/valuation/run", json=body)
        assert answer.status_code == 202
        assert (await client.get("/ready")).status_code == 503
    finally:
        await asyncio.to_thread(module_nats.start)

    async def connected() -> bool:
        return (await client.get("/ready")).status_code == 200 and office.client.is_connected

    assert await eventually(connected, "the gateway is on the bus again")
    again = await client.post("/api/v1/valuation/run", json=body)
    job_id = again.json()["id"]

    async def published() -> bool:
        return "requested" in await office.facts(job_id)

    assert await eventually(published, "commands are published again")


async def test_the_documentation_needs_no_other_host(client_of: Client) -> None:
    client = await client_of("")
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in page.text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len([name for name in wanted if not name.startswith("data:")]) == 3
    for name in wanted:
        if not name.startswith("data:"):
            asset = await client.get(str(page.url.join(name)))
            assert (asset.status_code, asset.content != b"") == (200, True), name
            assert asset.headers["content-type"].split(";")[0] in {"text/javascript", "text/css"}
    start = (await client.get("/docs/start.js")).text
    assert "//" not in start
    assert 'url: "openapi.json"' in start
    assert "validatorUrl: null" in start


async def test_the_documentation_may_load_and_call_nothing_but_the_gateway(client_of: Client) -> None:
    page = await (await client_of("")).get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert all("*" not in value and "http" not in value and "unsafe-eval" not in value for value in policy.values())
    assert "<script>" not in page.text


@pytest.mark.parametrize("name", ["../__init__.py", "..%2f__init__.py", "nothing.js"])
async def test_only_assets_are_served_beside_the_documentation(client_of: Client, name: str) -> None:
    assert code(await (await client_of("")).get(f"/docs/assets/{name}"), 404) == "route_not_found"
