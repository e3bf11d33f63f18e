"""`terrafusion sync …`: follow the legacy system and steer it."""

import json
from typing import Annotated, Any

import typer

from clients.sdk.certificates import sync_certificate
from clients.sdk.client import TerraFusion
from clients.sdk.connection import gateway, refuse
from clients.sdk.jobs import show, watch_job
from clients.sdk.output import console
from contracts.api.jobs import Job

sync_app = typer.Typer(name="sync", help="Synchronisation with the legacy system.", no_args_is_help=True)
PairArgument = Annotated[str, typer.Argument(help="A sync pair, such as benton_pacs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the history.")]
Tables = Annotated[list[str] | None, typer.Option("--table", help="Only this table; may be repeated.")]


@sync_app.command("full")
def sync_full(pair: PairArgument, *, as_json: AsJson = False) -> None:
    """Read everything and bring the canonical record to it."""
    _run(pair, "full", as_json=as_json)


@sync_app.command("incremental")
def sync_incremental(pair: PairArgument, *, as_json: AsJson = False) -> None:
    """Apply what has changed since the last run."""
    _run(pair, "incremental", as_json=as_json)


@sync_app.command("verify")
def sync_verify(pair: PairArgument, *, as_json: AsJson = False) -> None:
    """Read everything, apply nothing, and certify what the record holds; ends with 1 where that does not hold."""
    with gateway() as client:
        job = _watch(client, client.run("sync", county_of(client, pair), {"pair": pair, "mode": "verify"}), as_json)
        show(job)
        certificate = (job.result or {}).get("certificate_id")
        if certificate is None:
            refuse("the run made no certificate")
        holds = client.request("GET", f"/api/v1/sync/certificates/{certificate}")["holds"]
    if not as_json:
        console.print(f"certificate {certificate}: {'holds' if holds else 'DOES NOT HOLD'}")
    raise typer.Exit(0 if holds else 1)


sync_app.command("certificate")(sync_certificate)


@sync_app.command("undo")
def sync_undo(
    operation_id: Annotated[str, typer.Argument(help="The operation's id, which is its job's.")],
    *,
    cascade: Annotated[bool, typer.Option(help="Also later operations that touched its rows.")] = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Take an operation back: its rows become what they were, with compensating events."""
    _post(f"operations/{operation_id}/undo", {"cascade": cascade, **_because(reason)}, as_json=as_json)


@sync_app.command("approve")
def sync_approve(
    approval_id: Annotated[str, typer.Argument(help="As `sync status` shows it.")],
    *,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Let a run apply that a brake holds."""
    _post(f"approvals/{approval_id}/approve", _because(reason), as_json=as_json)


@sync_app.command("reject")
def sync_reject(
    approval_id: Annotated[str, typer.Argument(help="As `sync status` shows it.")],
    *,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Drop a run that a brake holds."""
    _post(f"approvals/{approval_id}/reject", _because(reason), as_json=as_json)


@sync_app.command("resolve")
def sync_resolve(
    conflict_id: Annotated[str, typer.Argument(help="As `sync conflicts` shows it.")],
    choice: Annotated[str, typer.Argument(help="The pair whose value shall stand.")],
    *,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Say which system is right."""
    _post(f"conflicts/{conflict_id}/resolve", {"choice": choice, **_because(reason)}, as_json=as_json)


@sync_app.command("pause")
def sync_pause(pair: PairArgument, *, table: Tables = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Let a pair, or tables of it, rest until somebody resumes it."""
    _signal(pair, {"mode": "pause", **_tables(table), **_because(reason)}, as_json=as_json)


@sync_app.command("resume")
def sync_resume(pair: PairArgument, *, table: Tables = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Let a pair, or tables of it, go on."""
    _signal(pair, {"mode": "resume", **_tables(table), **_because(reason)}, as_json=as_json)


@sync_app.command("stop")
def sync_stop(pair: PairArgument, *, table: Tables = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Give up the snapshot that is under way; what it has read is forgotten."""
    _signal(pair, {"mode": "stop", **_tables(table), **_because(reason)}, as_json=as_json)


@sync_app.command("snapshot")
def sync_snapshot(
    pair: PairArgument,
    *,
    table: Annotated[list[str], typer.Option("--table", help="A table to read again; may be repeated.")],
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE; may be repeated.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="A row's key: A,B or a JSON list; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read tables, or chosen rows of one, again while the pair goes on."""
    asked: dict[str, Any] = {"mode": "snapshot", "tables": table}
    if where:
        asked["where"] = to_where(where)
    if key:
        asked["keys"] = [to_key(text) for text in key]
    _signal(pair, asked, as_json=as_json)


def to_where(conditions: list[str]) -> dict[str, list[str]]:
    """`COLUMN=VALUE` from the command line; several values of a column are alternatives."""
    found: dict[str, list[str]] = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals or not column:
            refuse(f"--where {condition!r} is not COLUMN=VALUE")
        found.setdefault(column, []).append(value)
    return found


def to_key(text: str) -> list[str | int]:
    """A row's key from the command line; as JSON where a part holds a comma."""
    if not text.startswith("["):
        return list(text.split(","))
    try:
        key = json.loads(text)
    except ValueError as error:
        refuse(f"--key {text!r} is no JSON: {error}")
    return list(key)


def county_of(client: TerraFusion, pair: str) -> str:
    """The county that a pair belongs to, among those that the caller may see."""
    pairs = client.request("GET", "/api/sync-pairs")["items"]
    found = [item["county"] for item in pairs if item["pair"] == pair]
    if not found:
        refuse(f"there is no pair {pair!r}: {', '.join(item['pair'] for item in pairs) or 'none is configured'}")
    return str(found[0])


def _run(pair: str, mode: str, *, as_json: bool) -> None:
    with gateway() as client:
        job = client.request("POST", f"/api/sync/{mode}", json={"county": county_of(client, pair), "pair": pair})
        show(_watch(client, client.job(job["id"]), as_json))


def _signal(pair: str, asked: dict[str, Any], *, as_json: bool) -> None:
    with gateway() as client:
        body = {"county": county_of(client, pair), "pair": pair, **asked}
        show(_watch(client, Job.model_validate(client.request("POST", "/api/v1/sync/signals", json=body)), as_json))


def _post(path: str, body: dict[str, Any], *, as_json: bool) -> None:
    with gateway() as client:
        job = Job.model_validate(client.request("POST", f"/api/v1/sync/{path}", json=body))
        show(_watch(client, job, as_json))


def _watch(client: TerraFusion, job: Job, as_json: bool) -> Job:  # noqa: FBT001 its callers pass the option on
    """Wait for a job; a progress bar is no JSON."""
    return client.wait(job) if as_json else watch_job(client, job)


def _because(reason: str | None) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _tables(names: list[str] | None) -> dict[str, list[str]]:
    return {"tables": names} if names else {}
