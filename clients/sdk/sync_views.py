"""`terrafusion sync status`, `quarantine`, `conflicts` and `schedules`: look at how a source is followed."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from clients.sdk.client import TerraFusion
from clients.sdk.connection import gateway
from clients.sdk.output import console, listing
from clients.sdk.sync import AsJson, PairArgument, county_of

_PAGE = 500
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


def sync_status(pair: PairArgument, *, as_json: AsJson = False) -> None:
    """Show a pair: its tables with their readers and lag, what waits for a person, its last operations."""
    with gateway() as client:
        county = county_of(client, pair)
        chosen = {"county": county, "pair": pair}
        pairs = client.request("GET", "/api/sync-pairs", params={"county": county})["items"]
        found = {
            "pair": next(item for item in pairs if item["pair"] == pair),
            "tables": client.request("GET", f"/api/v1/sync/pairs/{pair}/tables", params={"county": county})["items"],
            "approvals": list(_all(client, "/api/v1/sync/approvals", {**chosen, "status": "pending"}, limit=_PAGE)),
            "operations": client.request("GET", "/api/sync-operations", params={**chosen, "limit": 5})["items"],
        }
    if as_json:
        console.print_json(data=found)
        return
    _print_pair(found["pair"])
    _print_tables(found["tables"])
    _print_approvals(found["approvals"])
    _print_operations(found["operations"])


def sync_quarantine(
    pair: PairArgument,
    *,
    table: Annotated[str | None, typer.Option(help="Only rows of this table.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List source rows that broke a rule and are held back."""
    with gateway() as client:
        query = {"county": county_of(client, pair), "pair": pair, "table": table, "rule": rule}
        rows = list(_all(client, "/api/v1/sync/quarantine", query, limit=limit))
    names = ("source_table", "key", "rule", "field", "value", "first_seen_at", "last_seen_at")
    _print_list(rows, names, whole=("key",), as_json=as_json)


def sync_conflicts(
    *,
    county: Annotated[str | None, typer.Option(help="Only this county's.")] = None,
    status: Annotated[str, typer.Option(help="open or resolved.")] = "open",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List where systems contradict each other and nobody has said yet who is right."""
    with gateway() as client:
        rows = list(_all(client, "/api/v1/sync/conflicts", {"county": county, "status": status}, limit=limit))
    if not as_json:
        for row in rows:
            row["says"] = ", ".join(f"{told['pair']}={told['value']}" for told in row["candidates"])
    names = ("id", "county", "entity", "entity_id", "field", "says", "status", "seen_at")
    _print_list(rows, names, whole=("id",), as_json=as_json)


def sync_schedules(
    *,
    county: Annotated[str | None, typer.Option(help="Only this county's.")] = None,
    as_json: AsJson = False,
) -> None:
    """List when synchronisations are asked for by themselves."""
    with gateway() as client:
        rows = list(_all(client, "/api/v1/schedules", {"county": county, "kind": "sync"}, limit=_PAGE))
    if not as_json:
        for row in rows:
            row["times"] = row["cron"] or f"every {row['every_seconds']} s"
            row["pair"], row["mode"] = (row["parameters"].get(name, "") for name in ("pair", "mode"))
            row["state"] = f"paused by {row['paused_by']}" if row["is_paused"] else "on"
    names = ("id", "county", "name", "pair", "mode", "times", "time_zone", "state", "next_due_at", "origin")
    _print_list(rows, names, whole=("id",), as_json=as_json)


def _all(client: TerraFusion, path: str, query: Mapping[str, Any], *, limit: int) -> Iterator[dict[str, Any]]:
    """Rows of a list over its pages."""
    asked = {name: value for name, value in query.items() if value is not None}
    asked["limit"] = min(limit, _PAGE)
    left = limit
    while True:
        page = client.request("GET", path, params=asked)
        yield from page["items"][:left]
        left -= len(page["items"])
        if page["next"] is None or left <= 0:
            return
        asked["cursor"] = page["next"]


def _print_list(rows: list[dict[str, Any]], names: tuple[str, ...], *, whole: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        console.print_json(data=rows)
        return
    table = listing(*(name.replace("_", " ") for name in names), whole=whole)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in names))
    console.print(table)


def _print_pair(pair: Mapping[str, Any]) -> None:
    synchronized = pair["last_synchronized_at"] or "never"
    console.print(f"{pair['pair']} of {pair['county']}: {pair['status']}, last synchronised {synchronized}")
    if pair["lag_seconds"] is not None:
        console.print(f"verified through {pair['verified_through']}: {duration(pair['lag_seconds'])} ago")
    if pair["failures"]:
        console.print(f"{pair['failures']} failed runs in a row; none begins by itself before {pair['retry_at']}")
    if run := pair["run"]:
        tables = f"{run['tables_done']} of {len(pair['tables'])} tables"
        console.print(f"a run is {run['phase']}: {run['mode']}, {run['rows_read']:,} rows read, {tables} done")


def _print_tables(tables: list[dict[str, Any]]) -> None:
    shown = listing("table", "reader", "status", "rows", "lag", "verified through", "stopped", "blind spots")
    for table in tables:
        lag = duration(table["lag_seconds"]) if table["lag_seconds"] is not None else ""
        stopped = f"{table['stopped_code']}: {table['stopped_message']}" if table["stopped_code"] else ""
        spots = "; ".join(table["blind_spots"])
        known = (table["source_table"], table["reader"], table["status"], f"{table['rows']:,}", lag)
        shown.add_row(*known, table["verified_through"] or "", stopped, spots)
    console.print(shown)


def _print_approvals(approvals: list[dict[str, Any]]) -> None:
    if not approvals:
        return
    console.print("\nwaits for a person: terrafusion sync approve | reject ID")
    shown = listing("id", "reason", "counts", "asked at", whole=["id"])
    for approval in approvals:
        counts = ", ".join(f"{name} {value}" for name, value in approval["details"].items())
        shown.add_row(approval["id"], approval["reason"], counts, approval["asked_at"])
    console.print(shown)


def _print_operations(operations: list[dict[str, Any]]) -> None:
    if not operations:
        return
    console.print()
    shown = listing("operation", "mode", "status", "read", "applied", "held back", "started", "certificate",
                    whole=["operation", "certificate"])  # fmt: skip
    for told in operations:
        counts = (f"{told[name]:,}" for name in ("rows_read", "rows_applied", "rows_quarantined"))
        undone = " (undone)" if told["undone_by"] else ""
        status = told["status"] + undone
        shown.add_row(told["id"], told["mode"], status, *counts, told["started_at"], told["certificate_id"] or "")
    console.print(shown)


def duration(seconds: float) -> str:
    """A span of time as people say it: by its largest unit, and the next smaller one."""
    sizes = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    largest = next((place for place, (_, size) in enumerate(sizes) if seconds >= size), len(sizes) - 1)
    left = int(seconds)
    parts: list[str] = []
    for unit, size in sizes[largest : largest + 2]:
        count, left = divmod(left, size)
        if count or not parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts)
