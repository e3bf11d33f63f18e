import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.gateway.accounts import ensure_administrator, set_password
from services.gateway.app import create_app
from services.gateway.domain.permissions import Caller, Grant
from services.gateway.domain.tokens import Tokens
from tests.support.gateways import PASSWORD, SECRET, GatewayUnderTest, gateway_settings
from tests.support.jobs import Office

Client = Callable[[str], Awaitable[httpx.AsyncClient]]


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == answer.status_code
    assert found["type"].endswith(found["code"])
    return str(found["code"])


async def log_in(client: httpx.AsyncClient, username: str = "ann", password: str = PASSWORD) -> httpx.Response:
    return await client.post("/auth/login", json={"username": username, "password": password})


async def test_a_login_gives_tokens_and_the_token_names_its_owner(client_of: Client) -> None:
    client = await client_of("")
    answer = await log_in(client)
    tokens = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 900
    me = await client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert me.json()["username"] == "ann"
    assert me.json()["roles"] == ["assessor"]
    assert list(me.json()["counties"]) == ["benton"]
    assert "market:run" in me.json()["counties"]["benton"]


@pytest.mark.parametrize(("username", "password"), [("ann", "wrong horse"), ("unknown", PASSWORD), ("ann\x01", "x")])
async def test_wrong_credentials_all_look_alike(client_of: Client, username: str, password: str) -> None:
    answer = await log_in(await client_of(""), username, password)
    assert answer.status_code == 401
    assert code(answer) == "credentials_invalid"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_many_attempts_have_to_wait_even_side_by_side(client_of: Client) -> None:
    client = await client_of("")
    answers = await asyncio.gather(*(log_in(client, "guessed", "wrong horse") for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7
    throttled = next(answer for answer in answers if answer.status_code == 429)
    assert code(throttled) == "login_throttled"
    assert 0 < int(throttled.headers["retry-after"]) <= 301
    assert (await log_in(client)).status_code == 200


async def test_a_refresh_token_works_once_and_its_theft_ends_the_login(client_of: Client) -> None:
    client = await client_of("")
    first = (await log_in(client)).json()["refresh_token"]
    renewed = await client.post("/auth/refresh", json={"refresh_token": first})
    second = renewed.json()["refresh_token"]
    assert renewed.status_code == 200
    assert second != first
    again = await client.post("/auth/refresh", json={"refresh_token": first})
    assert again.status_code == 401
    assert code(again) == "refresh_token_invalid"
    assert code(await client.post("/auth/refresh", json={"refresh_token": second})) == "refresh_token_invalid"


async def test_a_refresh_token_used_side_by_side_works_once(client_of: Client) -> None:
    client = await client_of("")
    token = (await log_in(client)).json()["refresh_token"]
    answers = await asyncio.gather(*(client.post("/auth/refresh", json={"refresh_token": token}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_a_logout_ends_the_login(client_of: Client) -> None:
    client = await client_of("")
    token = (await log_in(client)).json()["refresh_token"]
    assert (await client.post("/auth/logout", json={"refresh_token": token})).status_code == 204
    assert (await client.post("/auth/logout", json={"refresh_token": token})).status_code == 204
    assert (await client.post("/auth/refresh", json={"refresh_token": token})).status_code == 401


async def test_a_new_password_ends_every_login(client_of: Client, office: Office) -> None:
    client = await client_of("")
    token = (await log_in(client, "lyn")).json()["refresh_token"]
    await set_password(office.database_url, "lyn", PASSWORD)
    assert (await client.post("/auth/refresh", json={"refresh_token": token})).status_code == 401


async def test_passwords_and_refresh_tokens_are_not_in_the_database(client_of: Client, office: Office) -> None:
    token = (await log_in(await client_of(""))).json()["refresh_token"]
    stored = await office.fetchval(
        'SELECT (SELECT json_agg(u)::text FROM gateway."user" u) || (SELECT json_agg(t)::text'
        " FROM gateway.refresh_token t)"
    )
    assert "$argon2id$" in stored
    assert PASSWORD not in stored
    assert token not in stored


async def test_missing_expired_and_forged_tokens(gateway: GatewayUnderTest, client_of: Client) -> None:
    client = await client_of("")
    ann = Caller("ann", "s", {"benton": Grant(("county_admin",))})
    now = datetime.now(UTC)
    expired = Tokens(SECRET, lifetime=timedelta(minutes=15)).issue(ann, now=now - timedelta(hours=1))
    forged = Tokens("x" * 32, lifetime=timedelta(minutes=15)).issue(ann, now=now)
    for header, expected in (
        ({}, "token_missing"),
        ({"Authorization": "Basic YW5uOng="}, "token_missing"),
        ({"Authorization": f"Bearer {expired}"}, "token_expired"),
        ({"Authorization": f"Bearer {forged}"}, "token_invalid"),
        ({"Authorization": "Bearer nonsense"}, "token_invalid"),
    ):
        for path in ("/auth/me", "/api/v1/jobs", "/api/v1/nothing"):
            answer = await client.get(path, headers=header)
            assert answer.status_code == 401, path
            assert code(answer) == expected
            assert answer.headers["www-authenticate"].startswith('Bearer realm="terrafusion"')


async def test_every_route_but_the_public_ones_asks_for_a_token(gateway: GatewayUnderTest, client_of: Client) -> None:
    client = await client_of("")
    operations = {"/", "/health", "/gateway-health", "/ready", "/metrics", "/gateway-metrics"}
    public = operations | {"/auth/login", "/auth/refresh", "/auth/logout"}
    paths = (await client.get("/openapi.json")).json()["paths"]
    guarded = {(path, method) for path in paths for method in paths[path] if path not in public}
    assert len(guarded) > 30
    for path, method in guarded:
        answer = await client.request(method, path.replace("{job_id}", "0190c0de-0000-7000-8000-000000000000"))
        assert answer.status_code == 401, path
        assert code(answer) == "token_missing"


async def test_a_changed_users_file_counts_at_the_next_login(client_of: Client, folder: Path) -> None:
    client = await client_of("")
    path = folder / "counties" / "benton" / "rbac" / "benton_users.json"
    before = path.read_text()
    entries = [entry for entry in json.loads(before) if entry["username"] != "vic"]
    try:
        path.write_text(json.dumps([*entries, {"username": "vic", "roles": ["vendor"], "permissions": ["pii:read"]}]))
        token = (await log_in(client, "vic")).json()["access_token"]
        path.write_text("{ this is no JSON")
        unreadable = (await log_in(client, "two")).json()["access_token"]
    finally:
        path.write_text(before)
    vic = await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert "pii:read" in vic.json()["counties"]["benton"]
    two = await client.get("/auth/me", headers={"Authorization": f"Bearer {unreadable}"})
    assert list(two.json()["counties"]) == ["franklin"]


async def test_an_administrator_reaches_every_county(client_of: Client) -> None:
    me = (await (await client_of("root")).get("/auth/me")).json()
    assert me["roles"] == ["system_admin"]
    assert list(me["counties"]) == ["*"]


async def test_a_disabled_account_cannot_log_in_or_renew(client_of: Client, office: Office) -> None:
    client = await client_of("")
    await ensure_administrator(office.database_url, "gone", PASSWORD)
    token = (await log_in(client, "gone")).json()["refresh_token"]
    async with office.database.begin("*") as unit:
        await unit.connection.execute("UPDATE gateway.\"user\" SET disabled = true WHERE username = 'gone'")
    assert code(await log_in(client, "gone")) == "credentials_invalid"
    assert (await client.post("/auth/refresh", json={"refresh_token": token})).status_code == 401


async def test_a_short_secret_is_refused_at_the_start(office: Office, bus_url: str, folder: Path) -> None:
    app = create_app(gateway_settings(office.database_url, bus_url, folder, secret_key="x" * 31))
    sent: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)  # type: ignore[arg-type]
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "TERRAFUSION_SECRET_KEY" in sent[0]["message"]
