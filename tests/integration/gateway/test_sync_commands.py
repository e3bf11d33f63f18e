"""`terrafusion sync …` against a gateway, with a worker that does nothing but say what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from chassis.errors import PermanentError
from chassis.jobs import JobRouter, RunningJob
from chassis.outbox import new_id
from clients.sdk.cli import app
from clients.sdk.sync_views import duration
from contracts.api.sync import SyncParameters
from tests.support.gateways import GatewayUnderTest, opened
from tests.support.jobs import Office, running, settings_for

Command = Callable[..., Awaitable[Result]]
PAIR = "benton_pacs"
CERTIFICATES = {True: new_id(), False: new_id()}
APPROVAL, CONFLICT, OPERATION = new_id(), new_id(), new_id()
router = JobRouter()


@router.job("sync", parameters=SyncParameters)
async def _echo(job: RunningJob, parameters: SyncParameters) -> None:
    if parameters.reason == "fail":
        raise PermanentError("source_unreachable", "the source does not answer")
    result: dict[str, Any] = {"mode": parameters.mode}
    if parameters.mode == "verify":
        result["certificate_id"] = str(CERTIFICATES[parameters.pair == PAIR])
    async with job.completing(result):
        pass


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def followed(office: Office, folder: Path, gateway: GatewayUnderTest) -> AsyncIterator[None]:
    async with opened(office.database_url, "ingest") as ingest, ingest.begin("benton") as unit:
        connection = unit.connection
        await connection.execute(
            "INSERT INTO ingest.sync_pair (county, pair, reader, tables)"
            " VALUES ('benton', $1, 'auto', '[\"property\"]')",
            PAIR,
        )
        await connection.execute(
            "INSERT INTO ingest.sync_table (county, pair, source_table, reader, status, rows, verified_through,"
            " stopped_code, stopped_message, blind_spots) VALUES ('benton', $1, 'property', 'rowversion', 'stopped',"
            " 1234567, now() - interval '2 h', 'column_missing', 'geo_id is gone', '[\"deletions\"]')",
            PAIR,
        )
        await connection.execute(
            "INSERT INTO ingest.approval (county, id, pair, operation_id, reason, details)"
            " VALUES ('benton', $1, $2, $3, 'mass_delete', '{\"rows\": 900}')",
            APPROVAL,
            PAIR,
            new_id(),
        )
        await connection.execute(
            "INSERT INTO ingest.quarantine (county, pair, source_table, key, rule, field, value, operation_id)"
            " SELECT 'benton', $1, 'property', 'k' || n, 'value_negative', 'market', '[/red]', $2"
            " FROM generate_series(1, 3) n",
            PAIR,
            new_id(),
        )
        await connection.execute(
            "INSERT INTO ingest.conflict (county, id, entity, entity_id, field, candidates, operation_id)"
            " VALUES ('benton', $1, 'parcel', '7', 'zoning', $2, $3)",
            CONFLICT,
            [{"pair": PAIR, "value": "R1"}, {"pair": "benton_gis", "value": "R2"}],
            new_id(),
        )
        for holds, certificate in CERTIFICATES.items():
            await connection.execute(
                "INSERT INTO ingest.certificate (county, id, pair, operation_id, sequence, holds, document, signature)"
                " VALUES ('benton', $1, $2, $3, 1, $4, '{\"rows\": 1}', 'c2ln')",
                certificate,
                PAIR,
                new_id(),
                holds,
            )
        await connection.execute(
            "INSERT INTO ingest.sync_operation (county, id, pair, mode, reader, sequence, rows_read, rows_applied,"
            " rows_unchanged, rows_quarantined, rows_filtered, changes, events, details)"
            " VALUES ('benton', $1, $2, 'full', 'rowversion', 1, 1, 1, 0, 0, 0, 1, 1, '{}')",
            OPERATION,
            PAIR,
        )
    async with opened(office.database_url, "gateway") as database, database.begin("benton") as unit:
        await unit.connection.execute(
            "INSERT INTO chassis.job (county, id, kind, parameters, request_digest, requested_by, status)"
            " VALUES ('benton', $1, 'sync', $2, '', 'ann', 'succeeded')",
            OPERATION,
            {"pair": PAIR, "mode": "full"},
        )
    settings = settings_for(office, f"file://{folder}/storage", counties_dir=folder / "counties")
    async with running(router, settings):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def command(gateway: GatewayUnderTest, monkeypatch: pytest.MonkeyPatch) -> Command:
    client = await gateway.client("ann")
    monkeypatch.setenv("TERRAFUSION_GATEWAY_URL", gateway.url)
    monkeypatch.setenv("TERRAFUSION_TOKEN", client.headers["Authorization"].removeprefix("Bearer "))
    await client.aclose()

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["sync", *words]))

    return run


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        (("full", PAIR), {"mode": "full"}),
        (("incremental", PAIR), {"mode": "incremental"}),
        (("pause", PAIR, "--table", "a", "--reason", "slow"), {"mode": "pause", "tables": ["a"], "reason": "slow"}),
        (("resume", PAIR), {"mode": "resume"}),
        (("stop", PAIR), {"mode": "stop"}),
        (("snapshot", PAIR, "--table", "a", "--table", "b"), {"mode": "snapshot", "tables": ["a", "b"]}),
        (
            ("snapshot", PAIR, "--table", "a", "--where", "c=1", "--where", "c=x=y", "--where", "d="),
            {"mode": "snapshot", "tables": ["a"], "where": {"c": ["1", "x=y"], "d": [""]}},
        ),
        (
            ("snapshot", PAIR, "--table", "a", "--key", "2026,7", "--key", '["a,b", 2]'),
            {"mode": "snapshot", "tables": ["a"], "keys": [["2026", "7"], ["a,b", 2]]},
        ),
        (("approve", str(APPROVAL)), {"mode": "approve", "approval_id": str(APPROVAL)}),
        (("reject", str(APPROVAL), "--reason", "no"), {"mode": "reject", "approval_id": str(APPROVAL), "reason": "no"}),
        (
            ("undo", str(OPERATION), "--cascade"),
            {"mode": "undo", "operation_id": str(OPERATION), "cascade": True},
        ),
        (("resolve", str(CONFLICT), PAIR), {"mode": "resolve", "conflict_id": str(CONFLICT), "choice": PAIR}),
    ],
)  # fmt: skip
async def test_a_command_asks_for_its_job(command: Command, words: tuple[str, ...], parameters: dict[str, Any]) -> None:
    outcome = await command(*words, "--json")
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    job = json.loads(outcome.stdout)
    assert job["parameters"] == {"pair": PAIR, **parameters}
    assert (job["status"], job["result"]["mode"]) == ("succeeded", parameters["mode"])


async def test_the_status_shows_tables_lag_and_what_waits(command: Command) -> None:
    outcome = await command("status", PAIR)
    assert outcome.exit_code == 0, outcome.exception
    for told in ("rowversion", "1,234,567", "2 h", "column_missing: geo_id is gone", "deletions", str(APPROVAL),
                 "mass_delete", "rows 900"):  # fmt: skip
        assert told in outcome.stdout, told
    found = json.loads((await command("status", PAIR, "--json")).stdout)
    assert found.keys() == {"pair", "tables", "approvals", "operations"}
    assert found["tables"][0]["lag_seconds"] >= 7200
    assert found["operations"]
    assert all(operation["id"] in outcome.stdout for operation in found["operations"])


async def test_a_pair_that_has_never_run_has_a_status(command: Command) -> None:
    outcome = await command("status", "benton_gis")
    assert outcome.exit_code == 0, outcome.exception
    assert "last synchronised never" in outcome.stdout


async def test_quarantine_shows_texts_as_they_are(command: Command) -> None:
    outcome = await command("quarantine", PAIR, "--rule", "value_negative")
    assert [outcome.stdout.count(key) for key in ("k1", "k2", "k3", "[/red]")] == [1, 1, 1, 3]
    assert len(json.loads((await command("quarantine", PAIR, "--limit", "2", "--json")).stdout)) == 2
    assert json.loads((await command("quarantine", PAIR, "--table", "owner", "--json")).stdout) == []


async def test_conflicts_and_schedules(command: Command, gateway: GatewayUnderTest) -> None:
    assert f"{PAIR}=R1, benton_gis=R2" in (await command("conflicts")).stdout
    async with await gateway.client("ann") as client:
        body = {"county": "benton", "name": "nightly", "kind": "sync", "parameters": {"pair": PAIR}}
        assert (await client.post("/api/v1/schedules", json={**body, "cron": "5 1 * * *"})).status_code == 201
    shown = (await command("schedules")).stdout
    assert all(told in shown for told in ("nightly", "5 1 * * *", "America/Los_Angeles", PAIR))
    assert json.loads((await command("schedules", "--json")).stdout)[0]["cron"] == "5 1 * * *"


async def test_a_certificate_is_printed_or_saved_and_its_end_says_whether_it_holds(
    command: Command, tmp_path: Path
) -> None:
    good, bad = str(CERTIFICATES[True]), str(CERTIFICATES[False])
    printed = await command("certificate", good, "--json")
    assert (printed.exit_code, json.loads(printed.stdout)["signature"]) == (0, "c2ln")
    path = tmp_path / "certificate.json"
    assert (await command("certificate", bad, "--output", str(path))).exit_code == 1
    assert json.loads(path.read_text())["document"] == {"rows": 1}
    nowhere = await command("certificate", good, "--output", str(tmp_path / "no" / "folder.json"))
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (1, 1)


async def test_verifying_ends_with_whether_the_certificate_holds(command: Command) -> None:
    assert (await command("verify", PAIR)).exit_code == 0
    told = await command("verify", "benton_gis")
    assert (told.exit_code, "DOES NOT HOLD" in told.stdout) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("status", "benton_erp"), "there is no pair 'benton_erp': benton_gis, benton_pacs"),
        (("full", "nothing"), "there is no pair"),
        (("snapshot", PAIR, "--table", "a", "--where", "c"), "is not COLUMN=VALUE"),
        (("snapshot", PAIR, "--table", "a", "--table", "b", "--where", "c=1"), "snapshot of one table"),
        (("snapshot", PAIR, "--table", "a", "--key", "[1"), "is no JSON"),
        (("undo", str(new_id())), "operation_not_found"),
        (("approve", "no-id"), "validation_failed"),
        (("certificate", str(new_id())), "certificate_not_found"),
        (("pause", PAIR, "--reason", "fail"), "source_unreachable"),
    ],
)
async def test_a_refusal_is_one_line(command: Command, words: tuple[str, ...], told: str) -> None:
    outcome = await command(*words)
    assert outcome.exit_code == 1
    assert isinstance(outcome.exception, SystemExit)
    assert told in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_725, "1 h 2 min"), (90_061, "1 d 1 h"), (7_203, "2 h")],
)
def test_a_span_of_time_is_said_by_its_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
