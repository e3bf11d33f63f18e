from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from chassis.outbox import new_id
from tests.support.gateways import opened
from tests.support.jobs import Office

Client = Callable[[str], Awaitable[httpx.AsyncClient]]
PARCELS = 25
RUN_IDS = (new_id(), new_id())


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])


async def _write(connection: Any, county: str) -> None:
    await connection.execute(
        "INSERT INTO ingest.parcel (county, parcel_id, tax_year, supplement, pair, is_current, is_active,"
        " parcel_number, use_code, neighborhood, situs_address, total_value_usd, west, south, east, north)"
        " SELECT $1, 'P' || lpad(n::text, 3, '0'), 2026, 0, 'pacs', true, true, '1-' || n,"
        "  CASE n % 2 WHEN 0 THEN '1010' ELSE '2000' END, 'N' || n % 3,"
        "  CASE WHEN n = 7 THEN '100% Main_St' ELSE n || ' Oak Ave' END, 100000.5 + n,"
        "  -119 + n / 100.0, 46, -119 + n / 100.0 + 0.005, 46.01"
        " FROM generate_series(1, $2) n",
        county,
        PARCELS,
    )
    await connection.execute(
        "INSERT INTO ingest.owner (county, parcel_id, tax_year, owner_id, pair, name, mailing_address,"
        " ownership_percent) VALUES ($1, 'P001', 2025, 'old', 'pacs', 'Former Owner', 'x', 100),"
        " ($1, 'P001', 2026, 'new', 'pacs', 'Jane Q Public', '1 Private Rd', 100)",
        county,
    )
    await connection.execute(
        "INSERT INTO ingest.sale (county, sale_id, parcel_id, pair, sale_date, sale_price_usd, is_qualified,"
        " parcel_count) SELECT $1, 'S' || lpad((n / 2)::text, 3, '0'), 'P' || lpad(n::text, 3, '0'), 'pacs',"
        "  date '2024-01-01' + n, 200000 + n, n % 3 = 0, 2 FROM generate_series(1, 20) n",
        county,
    )
    await connection.execute(
        "INSERT INTO ingest.neighborhood (county, neighborhood, tax_year, pair, name) VALUES"
        " ($1, 'N0', 2025, 'pacs', 'Old name'), ($1, 'N0', 2026, 'pacs', 'River'), ($1, 'N1', 2026, 'pacs', 'Hill')",
        county,
    )


async def _value(connection: Any, county: str) -> None:
    for number, run_id in enumerate(RUN_IDS):
        await connection.execute(
            "INSERT INTO valuation.model_run (county, run_id, tax_year, valuation_date, model, parameters, model_card,"
            " parcels_valued, parcels_refused) VALUES ($1, $2, 2026, '2026-01-01', 'blend', '{}', '{}', 1, 0)",
            county,
            run_id,
        )
        await connection.execute(
            "INSERT INTO valuation.parcel_value (county, run_id, parcel_id, value_usd, low_usd, high_usd, confidence,"
            " kind, contributions, comparables, created_at) VALUES ($1, $2, 'P001', $3, 1, 2, 0.9,"
            " 'improved_residential', '{}', '[]', now() + $4 * interval '1 s')",
            county,
            run_id,
            250_000 + number,
            number,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def record(office: Office) -> None:
    async with opened(office.database_url, "ingest") as ingest, opened(office.database_url, "valuation") as valuation:
        for county in ("benton", "franklin"):
            async with ingest.begin(county) as unit:
                await _write(unit.connection, county)
        async with valuation.begin("benton") as unit:
            await _value(unit.connection, "benton")


async def pages(client: httpx.AsyncClient, path: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(path, params={"limit": limit, **query, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        cursor = {"cursor": answer.json()["next"]}


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 26])
async def test_parcels_are_complete_and_without_repetition(client_of: Client, limit: int) -> None:
    found = await pages(await client_of("ann"), "/api/v1/parcels", limit)
    assert [parcel["parcel_id"] for parcel in found] == [f"P{n:03}" for n in range(1, PARCELS + 1)]
    assert found[0]["total_value_usd"] == 100001.5
    assert "owners" not in found[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"neighborhood": "N0"}, {f"P{n:03}" for n in range(3, PARCELS + 1, 3)}),
        ({"use_code": "1010", "neighborhood": "N1"}, {"P004", "P010", "P016", "P022"}),
        ({"q": "100% main_st"}, {"P007"}),
        ({"q": "%%"}, set()),
        ({"q": "P02"}, {f"P{n:03}" for n in range(20, 26)}),
        ({"bbox": "-118.951,45,-118.949,47"}, {"P005"}),
        ({"bbox": "-180,-90,180,90"}, {f"P{n:03}" for n in range(1, PARCELS + 1)}),
        ({"bbox": "10,10,11,11"}, set()),
    ],
)
async def test_parcels_by_filter(client_of: Client, query: dict[str, str], expected: set[str]) -> None:
    found = await pages(await client_of("ann"), "/api/v1/parcels", 4, **query)
    assert {parcel["parcel_id"] for parcel in found} == expected


@pytest.mark.parametrize(
    "query",
    [
        {"bbox": "1,2,3"},
        {"bbox": "a,b,c,d"},
        {"bbox": "5,0,4,1"},
        {"bbox": "nan,0,4,1"},
        {"bbox": "-200,0,4,1"},
        {"limit": "1001"},
        {"limit": "x"},
        {"neighbourhood": "N0"},
        {"q": "a"},
        {"county": "Benton"},
    ],
)
async def test_wrong_filters_are_refused(client_of: Client, query: dict[str, str]) -> None:
    assert code(await (await client_of("ann")).get("/api/v1/parcels", params=query), 422) == "validation_failed"


async def test_text_that_the_database_cannot_hold(client_of: Client) -> None:
    client = await client_of("ann")
    assert code(await client.get("/api/v1/parcels?q=a%00b"), 422) == "value_unstorable"
    assert code(await client.get("/api/v1/parcels/a%00b"), 422) == "value_unstorable"
    assert code(await client.get("/api/v1/parcels?cursor=WyJhIiwiYiJd"), 422) == "cursor_invalid"


async def test_a_parcel_with_its_newest_value(client_of: Client) -> None:
    parcel = (await (await client_of("ann")).get("/api/v1/parcels/P001")).json()
    assert parcel["county"] == "benton"
    assert parcel["latest_value"]["run_id"] == str(RUN_IDS[1])
    assert parcel["latest_value"]["value_usd"] == 250_001
    assert parcel["latest_value"]["created_at"].endswith("Z")
    unvalued = (await (await client_of("ann")).get("/api/v1/parcels/P002")).json()
    assert unvalued["latest_value"] is None


async def test_owners_are_for_those_who_may_read_personal_data(client_of: Client) -> None:
    assert (await (await client_of("ann")).get("/api/v1/parcels/P001")).json()["owners"] is None
    owners = (await (await client_of("ben")).get("/api/v1/parcels/P001")).json()["owners"]
    assert [(owner["owner_id"], owner["name"]) for owner in owners] == [("new", "Jane Q Public")]


async def test_a_parcel_that_is_not_there(client_of: Client) -> None:
    client = await client_of("ann")
    assert code(await client.get("/api/v1/parcels/P999"), 404) == "parcel_not_found"
    assert code(await client.get("/api/v1/parcels/P001", params={"county": "franklin"}), 403) == "county_forbidden"


async def test_the_county_is_named_where_there_are_several(client_of: Client) -> None:
    for name in ("two", "root"):
        client = await client_of(name)
        assert code(await client.get("/api/v1/parcels"), 422) == "county_required"
        found = await client.get("/api/v1/parcels", params={"county": "franklin", "limit": 1})
        assert found.status_code == 200


async def test_sales_page_by_page(client_of: Client) -> None:
    client = await client_of("ann")
    found = await pages(client, "/api/v1/sales", 3)
    assert len({(sale["sale_id"], sale["parcel_id"]) for sale in found}) == len(found) == 20
    qualified = await pages(client, "/api/v1/sales", 3, is_qualified="true", from_date="2024-01-10")
    assert {sale["parcel_id"] for sale in qualified} == {"P009", "P012", "P015", "P018"}
    assert [sale["sale_id"] for sale in await pages(client, "/api/v1/sales", 3, parcel_id="P004")] == ["S002"]


async def test_neighbourhoods_by_their_newest_name(client_of: Client) -> None:
    found = await pages(await client_of("ann"), "/api/v1/neighborhoods", 1)
    assert [(n["neighborhood"], n["name"]) for n in found] == [("N0", "River"), ("N1", "Hill")]


@asynccontextmanager
async def answering(office: Office, reply: bytes) -> AsyncIterator[list[Msg]]:
    heard: list[Msg] = []

    async def hear(msg: Msg) -> None:
        heard.append(msg)
        if reply:
            await msg.respond(reply)

    subscription = await office.client.subscribe("query.valuation.comparables.*", cb=hear)
    await office.client.flush()
    yield heard
    await subscription.unsubscribe()
    await office.client.flush()


GRID = (
    b'{"parcel_id": "P001", "kind": "improved_residential", "valuation_date": "2026-01-01",'
    b' "indicated_value_usd": 250000.0, "sales_used": 40, "characteristics": {}, "comparables": []}'
)


async def test_comparables_come_from_the_valuation_service(client_of: Client, office: Office) -> None:
    async with answering(office, GRID) as heard:
        answer = await (await client_of("ann")).get("/api/v1/parcels/P001/comparables", params={"comparables": 7})
    assert answer.status_code == 200
    assert answer.json()["indicated_value_usd"] == 250_000
    assert heard[0].subject == "query.valuation.comparables.benton"
    assert b'"comparables":7' in heard[0].data
    assert (heard[0].headers or {})["traceparent"].split("-")[1] == answer.headers["traceparent"].split("-")[1]


@pytest.mark.parametrize(
    ("reply", "status", "expected"),
    [
        (b"", 504, "answer_timeout"),
        (b'{"code": "parcel_unknown", "detail": "there is no such parcel"}', 404, "parcel_unknown"),
        (b'{"code": "too_few_sales", "detail": "there are 3"}', 422, "too_few_sales"),
        (b'{"code": "internal_error", "detail": "no"}', 503, "answer_failed"),
        (b"nonsense", 503, "answer_invalid"),
    ],
)
async def test_comparables_that_do_not_come(
    client_of: Client, office: Office, reply: bytes, status: int, expected: str
) -> None:
    async with answering(office, reply):
        answer = await (await client_of("ann")).get("/api/v1/parcels/P001/comparables")
    assert code(answer, status) == expected


async def test_comparables_while_nobody_is_there_to_answer(client_of: Client) -> None:
    answer = await (await client_of("ann")).get("/api/v1/parcels/P001/comparables")
    assert code(answer, 504) == "answer_timeout"
    assert code(await (await client_of("vic")).get("/api/v1/parcels/P001/comparables"), 403) == "permission_denied"
