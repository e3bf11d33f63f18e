"""What the gateway shows of following a source, and the jobs by which people steer it."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from chassis.outbox import new_id
from tests.support.gateways import opened
from tests.support.jobs import Office

Client = Callable[[str], Awaitable[httpx.AsyncClient]]
ROWS = 12
IDS = {
    (what, county, number): new_id()
    for what in ("certificate", "approval", "conflict", "change", "operation", "run")
    for county in ("benton", "franklin")
    for number in range(5)
}
LISTS = ("quarantine", "certificates", "approvals", "conflicts", "schema-changes")
STEERED = (
    "POST /signals",
    "POST /approvals/{approval}/approve",
    "POST /approvals/{approval}/reject",
    "POST /operations/{operation}/undo",
    "POST /conflicts/{conflict}/resolve",
)


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


async def _follow(connection: Any, county: str) -> None:
    pair = f"{county}_pacs"
    await connection.execute(
        "INSERT INTO ingest.sync_pair (county, pair, reader, tables, status, failures, last_synchronized_at)"
        " VALUES ($1, $2, 'rowversion', '[\"property\", \"owner\"]', 'held', 2, now())",
        county,
        pair,
    )
    await connection.execute(
        "INSERT INTO ingest.sync_table (county, pair, source_table, reader, status, token, token_at, rows,"
        " verified_through, stopped_code, stopped_message, blind_spots) VALUES"
        " ($1, $2, 'property', 'rowversion', 'following', '0x00000000000007D1', now() - interval '90 s', 5000,"
        "  now() - interval '60 s', NULL, NULL, '[\"deletions until the ranges are compared\"]'),"
        " ($1, $2, 'owner', 'hash_diff', 'stopped', NULL, NULL, 7, now() - interval '1 h', 'column_missing',"
        "  'owner.pct_ownership is gone', '[]')",
        county,
        pair,
    )
    await connection.execute(
        "INSERT INTO ingest.sync_run (county, pair, id, sequence, mode, rules, working_year, phase, seen_at)"
        " VALUES ($1, $2, $3, 4, 'incremental', 'r', 2026, 'reading', now())",
        county,
        pair,
        IDS["run", county, 0],
    )
    await connection.execute(
        "INSERT INTO ingest.staged_progress (county, pair, run_id, source_table, batch, position, rows_read,"
        " rows_quarantined, rows_filtered, rows_compared, is_done)"
        " SELECT $1, $2, $3, CASE WHEN n < 3 THEN 'property' ELSE 'owner' END, n, '{}', 100, 1, 2, 90, n = 2"
        " FROM generate_series(1, 3) n",
        county,
        pair,
        IDS["run", county, 0],
    )
    await connection.execute(
        "INSERT INTO ingest.quarantine (county, pair, source_table, key, rule, field, value, operation_id)"
        " SELECT $1, $2, CASE n % 2 WHEN 0 THEN 'property' ELSE 'owner' END, n::text,"
        "  CASE n % 3 WHEN 0 THEN 'value_negative' ELSE 'key_repeated' END, 'market', '-1', $3"
        " FROM generate_series(1, $4) n",
        county,
        pair,
        new_id(),
        ROWS,
    )


async def _ask(connection: Any, county: str) -> None:
    pair = f"{county}_pacs"
    for number in range(5):
        at = f"2026-03-01T00:00:0{number // 2}+00"  # some at the same moment
        await connection.execute(
            "INSERT INTO ingest.certificate (county, id, pair, operation_id, sequence, holds, document, signature,"
            " issued_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'c2lnbmVk', $8::text::timestamptz)",
            county,
            IDS["certificate", county, number],
            pair,
            new_id(),
            number,
            number != 3,
            {"rows": {"property": {"source": number}}},
            at,
        )
        await connection.execute(
            "INSERT INTO ingest.approval (county, id, pair, operation_id, reason, details, status, asked_at,"
            " decided_by) VALUES ($1, $2, $3, $4, 'mass_delete', '{\"rows\": 900}', $5, $6::text::timestamptz, $7)",
            county,
            IDS["approval", county, number],
            pair,
            new_id(),
            "approved" if number == 0 else "pending",
            at,
            "ann" if number == 0 else None,
        )
        candidates = [{"pair": pair, "value": "A"}, {"pair": f"{county}_gis", "value": "B"}]
        await connection.execute(
            "INSERT INTO ingest.conflict (county, id, entity, entity_id, field, candidates, status, seen_at,"
            " operation_id) VALUES ($1, $2, $3, $9, $4, $5, $6, $7::text::timestamptz, $8)",
            county,
            IDS["conflict", county, number],
            "owner" if number == 1 else "parcel",
            "name" if number == 1 else "zoning",
            candidates,
            "resolved" if number == 0 else "open",
            at,
            new_id(),
            str(number),
        )
        await connection.execute(
            "INSERT INTO ingest.schema_change (county, pair, id, source_table, kind, columns, seen_at, operation_id)"
            " VALUES ($1, $2, $3, 'property', 'column_added', '{\"added\": [\"x\"]}', $4::text::timestamptz, $5)",
            county,
            pair,
            IDS["change", county, number],
            at,
            new_id(),
        )


async def _operate(office: Office, ingest: Any, county: str) -> None:
    """Operations: one applied, one failed, one undone."""
    async with opened(office.database_url, "gateway") as gateway, gateway.begin(county) as unit:
        for number, status in enumerate(("succeeded", "failed", "succeeded")):
            await unit.connection.execute(
                "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by, status)"
                " VALUES ($1, $2, 'sync', $3, '', 'ann', $4)",
                county,
                IDS["operation", county, number],
                {"pair": f"{county}_pacs", "mode": "full"},
                status,
            )
    for number, undone_by in ((0, None), (2, new_id())):
        await ingest.execute(
            "INSERT INTO ingest.sync_operation (county, id, pair, mode, reader, sequence, rows_read, rows_applied,"
            " rows_unchanged, rows_quarantined, rows_filtered, changes, events, details, undone_by)"
            " VALUES ($1, $2, $3, 'full', 'hash_diff', $4, 1, 1, 0, 0, 0, 1, 1, '{}', $5)",
            county,
            IDS["operation", county, number],
            f"{county}_pacs",
            number + 1,
            undone_by,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def following(office: Office) -> None:
    async with opened(office.database_url, "ingest") as ingest:
        for county in ("benton", "franklin"):
            async with ingest.begin(county) as unit:
                await _follow(unit.connection, county)
                await _ask(unit.connection, county)
                await _operate(office, unit.connection, county)


async def pages(client: httpx.AsyncClient, path: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(f"/api/v1/sync/{path}", params={"limit": limit, **query, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        cursor = {"cursor": answer.json()["next"]}


async def test_a_pair_says_how_far_it_has_come_and_what_waits(client_of: Client) -> None:
    items = (await (await client_of("ann")).get("/api/sync-pairs")).json()["items"]
    pair = next(item for item in items if item["pair"] == "benton_pacs")
    assert (pair["status"], pair["failures"], pair["tables_stopped"], pair["approvals_pending"]) == ("held", 2, 1, 4)
    assert pair["lag_seconds"] >= 3600  # of its table that is behind most
    assert pair["run"]["id"] == str(IDS["run", "benton", 0])
    newest = {"id": str(IDS["certificate", "benton", 4]), "holds": True, "issued_at": "2026-03-01T00:00:02Z"}
    assert pair["certificate"] == newest
    assert {name: pair["run"][name] for name in ("rows_read", "rows_compared", "tables_begun", "tables_done")} == {
        "rows_read": 300,
        "rows_compared": 270,
        "tables_begun": 2,
        "tables_done": 1,
    }


async def test_the_tables_of_a_pair(client_of: Client) -> None:
    client = await client_of("ann")
    owner, property_ = (await client.get("/api/v1/sync/pairs/benton_pacs/tables")).json()["items"]
    assert (owner["source_table"], owner["stopped_code"], owner["token_age_seconds"]) == (
        "owner",
        "column_missing",
        None,
    )
    assert (property_["reader"], property_["token"]) == ("rowversion", "0x00000000000007D1")
    assert property_["token_age_seconds"] >= 90
    assert 60 <= property_["lag_seconds"] < property_["token_age_seconds"]
    assert property_["blind_spots"] == ["deletions until the ranges are compared"]
    assert (await client.get("/api/v1/sync/pairs/benton_gis/tables")).json()["items"] == []  # has not run yet
    assert code(await client.get("/api/v1/sync/pairs/franklin_pacs/tables"), 404) == "pair_unknown"


@pytest.mark.parametrize("limit", [1, 5, ROWS - 1, ROWS, ROWS + 1])
async def test_quarantine_is_complete_and_without_repetition(client_of: Client, limit: int) -> None:
    found = await pages(await client_of("ann"), "quarantine", limit)
    keys = [(row["source_table"], row["key"]) for row in found]
    assert len(keys) == len(set(keys)) == ROWS
    assert {row["county"] for row in found} == {"benton"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"table": "property"}, {"2", "4", "6", "8", "10", "12"}),
        ({"rule": "value_negative"}, {"3", "6", "9", "12"}),
        ({"rule": "value_negative", "table": "owner", "pair": "benton_pacs"}, {"3", "9"}),
        ({"pair": "benton_gis"}, set()),
    ],
)
async def test_quarantine_by_table_rule_and_pair(client_of: Client, query: dict[str, str], expected: set[str]) -> None:
    assert {row["key"] for row in await pages(await client_of("ann"), "quarantine", 2, **query)} == expected


@pytest.mark.parametrize(
    ("path", "what"), [("certificates", "certificate"), ("approvals", "approval"), ("conflicts", "conflict"),
                       ("schema-changes", "change")],
)  # fmt: skip
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_lists_show_the_newest_first_and_nothing_twice(
    client_of: Client, path: str, what: str, limit: int
) -> None:
    found = [row["id"] for row in await pages(await client_of("ann"), path, limit)]
    assert len(found) == 5
    assert set(found) == {str(IDS[what, "benton", number]) for number in range(5)}
    assert found[0] == str(IDS[what, "benton", 4])
    assert set(found[1:3]) == {str(IDS[what, "benton", number]) for number in (2, 3)}


@pytest.mark.parametrize(
    ("path", "query", "numbers"),
    [
        ("certificates", {"holds": "false"}, {3}),
        ("approvals", {"status": "pending"}, {1, 2, 3, 4}),
        ("approvals", {"status": "approved", "pair": "benton_pacs"}, {0}),
        ("conflicts", {"status": "resolved"}, {0}),
        ("conflicts", {"entity": "owner"}, {1}),
        ("schema-changes", {"table": "owner"}, set()),
    ],
)
async def test_lists_by_filter(client_of: Client, path: str, query: dict[str, str], numbers: set[int]) -> None:
    what = {"schema-changes": "change"}.get(path, path.removesuffix("s"))
    found = {row["id"] for row in await pages(await client_of("ann"), path, 3, **query)}
    assert found == {str(IDS[what, "benton", number]) for number in numbers}


async def test_a_certificate_is_a_file_with_its_signature(client_of: Client) -> None:
    known = IDS["certificate", "benton", 2]
    answer = await (await client_of("ann")).get(f"/api/v1/sync/certificates/{known}")
    assert answer.headers["content-disposition"] == 'attachment; filename="benton_pacs-2-certificate.json"'
    assert answer.json()["document"] == {"rows": {"property": {"source": 2}}}
    assert (answer.json()["signature"], answer.json()["holds"]) == ("c2lnbmVk", True)


async def test_owners_of_a_conflict_are_for_those_who_may_read_personal_data(client_of: Client) -> None:
    for name, expected in (("ann", ["***", "***"]), ("ben", ["A", "B"])):
        (row,) = await pages(await client_of(name), "conflicts", 5, entity="owner")
        assert [candidate["value"] for candidate in row["candidates"]] == expected
    told = await pages(await client_of("ann"), "conflicts", 5, entity="parcel")
    assert {candidate["value"] for row in told for candidate in row["candidates"]} == {"A", "B"}


@pytest.mark.parametrize("path", LISTS)
async def test_lists_are_for_those_who_may_read_them(client_of: Client, path: str) -> None:
    route = f"/api/v1/sync/{path}"
    assert code(await (await client_of("")).get(route), 401) == "token_missing"
    assert code(await (await client_of("lyn")).get(route), 403) == "permission_denied"
    ann = await client_of("ann")
    assert code(await ann.get(route, params={"county": "franklin"}), 403) == "county_forbidden"
    assert code(await ann.get(route, params={"cursor": "WyJhIl0"}), 422) == "cursor_invalid"
    assert code(await ann.get(route, params={"limit": 0}), 422) == "validation_failed"
    assert code(await ann.get(route, params={"tables": "x"}), 422) == "validation_failed"
    assert code(await (await client_of("two")).get(route), 422) == "county_required"
    everywhere = await pages(await client_of("root"), path, 4)
    assert {row["county"] for row in everywhere} == {"benton", "franklin"}


def body_of(route: str) -> dict[str, Any] | None:
    if route.endswith("signals"):
        return {"county": "benton", "pair": "benton_pacs", "mode": "pause"}
    return {"choice": "benton_gis"} if route.endswith("resolve") else None


def what_of(route: str) -> str:
    """What the route's path names by its id."""
    return route.partition("{")[2].partition("}")[0]


def path_of(route: str, county: str, number: int) -> str:
    named = {what: IDS[what, county, number] for what in ("approval", "operation", "conflict")}
    return "/api/v1/sync" + route.removeprefix("POST ").format(**named)


@pytest.mark.parametrize(
    ("route", "number", "expected"),
    [
        (STEERED[0], 1, {"mode": "pause"}),
        (STEERED[1], 1, {"mode": "approve", "approval_id": str(IDS["approval", "benton", 1])}),
        (STEERED[2], 2, {"mode": "reject", "approval_id": str(IDS["approval", "benton", 2])}),
        (STEERED[3], 0, {"mode": "undo", "operation_id": str(IDS["operation", "benton", 0])}),
        (STEERED[4], 2, {"mode": "resolve", "conflict_id": str(IDS["conflict", "benton", 2]), "choice": "benton_gis"}),
    ],
)
async def test_steering_is_a_job_made_once(
    client_of: Client, office: Office, route: str, number: int, expected: dict[str, str]
) -> None:
    client = await client_of("ann")
    path, headers = path_of(route, "benton", number), {"Idempotency-Key": str(new_id())}
    answer = await client.post(path, json=body_of(route), headers=headers)
    assert answer.status_code == 202, answer.text
    pair = "benton_gis" if route.endswith("resolve") else "benton_pacs"
    assert answer.json()["parameters"] == {"pair": pair, **expected}
    assert answer.headers["location"] == answer.json()["links"]["self"]
    again = await client.post(path, json=body_of(route), headers=headers)
    assert again.json()["id"] == answer.json()["id"]
    await office.outbox_is_empty()
    assert "requested" in await office.facts(answer.json()["id"])
    assert (await office.job(UUID(answer.json()["id"])))["requested_by"] == "ann"


async def test_a_repetition_is_the_same_job_even_after_the_decision(client_of: Client, office: Office) -> None:
    client, approval = await client_of("ann"), IDS["approval", "benton", 3]
    headers = {"Idempotency-Key": "approve-once"}
    first = await client.post(f"/api/v1/sync/approvals/{approval}/approve", headers=headers)
    async with opened(office.database_url, "ingest") as ingest, ingest.begin("benton") as unit:
        await unit.connection.execute("UPDATE ingest.approval SET status = 'approved' WHERE id = $1", approval)
    again = await client.post(f"/api/v1/sync/approvals/{approval}/approve", headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    late = await client.post(f"/api/v1/sync/approvals/{approval}/approve")
    assert code(late, 409) == "approval_decided"


@pytest.mark.parametrize("route", STEERED)
async def test_steering_is_for_those_who_may(client_of: Client, route: str) -> None:
    path, body = path_of(route, "benton", 4 if "operation" not in route else 0), body_of(route)
    assert code(await (await client_of("")).post(path, json=body), 401) == "token_missing"
    assert code(await (await client_of("lyn")).post(path, json=body), 403) == "permission_denied"
    status, expected = (403, "county_forbidden") if "signals" in route else (404, what_of(route))
    refused = code(await (await client_of("fay")).post(path, json=body), status)
    assert refused in {expected, f"{expected}_not_found"}


@pytest.mark.parametrize("route", STEERED[1:])
async def test_what_is_not_there_cannot_be_steered(client_of: Client, route: str) -> None:
    client = await client_of("ann")
    ids = dict.fromkeys(("approval", "operation", "conflict"), str(new_id()))
    path = "/api/v1/sync" + route.removeprefix("POST ").format(**ids)
    what = what_of(route)
    assert code(await client.post(path, json=body_of(route)), 404) == f"{what}_not_found"
    wrong = path.replace(next(iter(set(path.split("/")) & set(ids.values()))), "no-id")
    assert code(await client.post(wrong, json=body_of(route)), 422) == "validation_failed"


async def test_what_is_settled_is_not_decided_again(client_of: Client) -> None:
    client = await client_of("ann")
    for path, body, expected in (
        (path_of(STEERED[1], "benton", 0), None, "approval_decided"),
        (path_of(STEERED[2], "benton", 0), None, "approval_decided"),
        (path_of(STEERED[3], "benton", 1), None, "operation_not_applied"),
        (path_of(STEERED[3], "benton", 2), {"cascade": True}, "operation_undone"),
        (path_of(STEERED[4], "benton", 0), {"choice": "benton_gis"}, "conflict_resolved"),
    ):
        assert code(await client.post(path, json=body), 409) == expected
    unknown = await client.post(path_of(STEERED[4], "benton", 4), json={"choice": "franklin_gis"})
    assert code(unknown, 422) == "choice_unknown"


@pytest.mark.parametrize(
    ("changed", "status", "expected"),
    [
        ({"pair": "benton_erp"}, 404, "pair_unknown"),
        ({"mode": "full"}, 422, "validation_failed"),
        ({"mode": "pause", "keys": [["1"]]}, 422, "validation_failed"),
        ({"mode": "snapshot", "keys": [["1"]], "tables": ["a", "b"]}, 422, "validation_failed"),
        ({"where": {"prop_id": [1]}}, 422, "validation_failed"),
        ({"wher": {}}, 422, "validation_failed"),
    ],
)
async def test_a_signal_that_makes_no_sense_makes_no_job(
    client_of: Client, office: Office, changed: dict[str, Any], status: int, expected: str
) -> None:
    client = await client_of("ann")
    before = len((await client.get("/api/sync-operations", params={"limit": 500})).json()["items"])
    body = {"county": "benton", "pair": "benton_pacs", "mode": "snapshot", **changed}
    assert code(await client.post("/api/v1/sync/signals", json=body), status) == expected
    assert len((await client.get("/api/sync-operations", params={"limit": 500})).json()["items"]) == before


async def test_a_snapshot_of_chosen_rows(client_of: Client) -> None:
    body = {"county": "benton", "pair": "benton_pacs", "mode": "snapshot", "tables": ["property"]}
    for chosen in ({"where": {"prop_type_cd": ["R", "MH"]}}, {"keys": [["1"], [2]]}):
        answer = await (await client_of("ann")).post("/api/v1/sync/signals", json={**body, **chosen})
        assert answer.status_code == 202, answer.text
        assert answer.json()["parameters"] == {
            key: value for key, value in {**body, **chosen}.items() if key != "county"
        }


@pytest.mark.parametrize("path", ["/api/sync/full", "/api/sync/incremental"])
async def test_an_unknown_pair_makes_no_job(client_of: Client, path: str) -> None:
    client = await client_of("ann")
    assert code(await client.post(path, json={"county": "benton", "pair": "franklin_pacs"}), 404) == "pair_unknown"
    run = {"county": "benton", "parameters": {"pair": "nothing"}}
    assert code(await client.post("/api/v1/sync/run", json=run), 404) == "pair_unknown"


async def test_who_may_only_run_does_not_decide(client_of: Client, office: Office) -> None:
    async with opened(office.database_url, "gateway") as gateway, gateway.begin("benton") as unit:
        await unit.connection.execute(
            "INSERT INTO gateway.user_grant (county, username, roles, permissions)"
            " VALUES ('benton', 'nobody', '{}', '{sync:run,sync:read}')"
        )
    client = await client_of("nobody")
    approval = IDS["approval", "benton", 4]
    assert code(await client.post(f"/api/v1/sync/approvals/{approval}/approve"), 403) == "permission_denied"
    parameters = {"pair": "benton_pacs", "mode": "approve", "approval_id": str(approval)}
    around = await client.post("/api/v1/sync/run", json={"county": "benton", "parameters": parameters})
    assert code(around, 403) == "permission_denied"
    decided = await (await client_of("ann")).post(f"/api/v1/sync/approvals/{approval}/reject")
    assert code(await client.post(f"/api/v1/jobs/{decided.json()['id']}/cancel"), 403) == "permission_denied"
    assert (await client.post("/api/sync/full", json={"county": "benton", "pair": "benton_pacs"})).status_code == 202
