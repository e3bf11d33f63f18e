"""`terrafusion valuation runs`, `show`, `values`, `compare`, `overrides` and `posted`: look at the roll."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from clients.sdk.connection import gateway
from clients.sdk.output import console, listing
from clients.sdk.valuation import AsJson, RunArgument
from clients.sdk.valuations import Valuations
from contracts.api.valuation_runs import ChangeSummary, PostedReport, RunComparison

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
AnyCounty = Annotated[str | None, typer.Option(help="Only this county's.")]


def valuation_runs(
    *,
    county: AnyCounty = None,
    tax_year: Annotated[int | None, typer.Option(help="Only of this year.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with gateway() as client:
        rows = list(islice(Valuations(client).runs(county=county, tax_year=tax_year), limit))
    names = ("run_id", "county", "tax_year", "model", "is_what_if", "parcels_valued", "parcels_flagged",
             "total_value_usd", "promotion_status", "requested_by", "created_at")  # fmt: skip
    _print(rows, names, whole=("run_id",), as_json=as_json)


def valuation_show(run: RunArgument) -> None:
    """Show a run with its stamps, and what became of it."""
    with gateway() as client:
        console.print_json(Valuations(client).run(run).model_dump_json(exclude={"model_card"}))


def valuation_values(
    run: RunArgument,
    *,
    flag: Annotated[str | None, typer.Option(help="Only values with this flag, such as change_too_large.")] = None,
    flagged: Annotated[bool, typer.Option(help="Only values that wait for review.")] = False,
    neighborhood: Annotated[str | None, typer.Option(help="Only of this neighbourhood.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List a run's values."""
    chosen = {"flag": flag, "is_flagged": True if flagged else None, "neighborhood": neighborhood}
    with gateway() as client:
        rows = list(islice(Valuations(client).values(run, **chosen), limit))
    names = ("parcel_id", "neighborhood", "use_code", "value_usd", "prior_value_usd", "change_percent", "low_usd",
             "high_usd", "flags", "override_value_usd")  # fmt: skip
    _print(rows, names, whole=("parcel_id",), as_json=as_json)


def valuation_compare(
    run: RunArgument,
    other: Annotated[str, typer.Argument(help="The run to lay beside it.")],
    *,
    movers: Annotated[int, typer.Option(min=0, max=100, help="So many of the largest changes.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Lay two runs side by side."""
    with gateway() as client:
        found = Valuations(client).compare(run, other, movers=movers)
    if as_json:
        console.print_json(found.model_dump_json())
    else:
        _print_comparison(found)


def valuation_overrides(
    *,
    county: AnyCounty = None,
    parcel: Annotated[str | None, typer.Option(help="Only of this parcel.")] = None,
    active: Annotated[bool, typer.Option(help="Only those that count.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the values of persons, the newest first."""
    with gateway() as client:
        found = Valuations(client).overrides(county=county, parcel_id=parcel, is_active=True if active else None)
        rows = list(islice(found, limit))
    names = ("id", "parcel_id", "tax_year", "value_usd", "model_value_usd", "reason", "created_by", "created_at",
             "withdrawn_by")  # fmt: skip
    _print(rows, names, whole=("id",), as_json=as_json)


def valuation_posted(
    run: RunArgument,
    *,
    status: Annotated[str | None, typer.Option(help="Only pending, matched, different or missing.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what the synchronisation brought back of a posted run; ends with 1 unless all of it matches."""
    with gateway() as client:
        report = Valuations(client).posted(run, status=status, limit=limit)
    if as_json:
        console.print_json(report.model_dump_json())
    else:
        _print_posted(report)
    raise typer.Exit(0 if report.counts["matched"] == report.posting.parcels else 1)


def _print(rows: Iterable[BaseModel], names: tuple[str, ...], *, whole: tuple[str, ...], as_json: bool) -> None:
    found = [row.model_dump(mode="json") for row in rows]
    if as_json:
        console.print_json(data=found)
        return
    table = listing(*(name.replace("_", " ") for name in names), whole=whole)
    for row in found:
        table.add_row(*(_text(row[name]) for name in names))
    console.print(table)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)


def _print_comparison(found: RunComparison) -> None:
    console.print(f"{found.overall.parcels:,} parcels are in both runs, {found.only_in_run:,} only in the first,"
                  f" {found.only_in_other:,} only in the other")  # fmt: skip
    for name, (one, two) in found.differences.items():
        console.print(f"  {name}: {one} -> {two}")
    console.print(
        "change in percent: " + ", ".join(f"{name} {value:+.2f}" for name, value in found.percentiles.items())
    )
    _print_groups({"all": found.overall, **found.by_neighborhood}, "neighborhood")
    _print_groups(found.by_use_code, "use code")
    table = listing("parcel", "from", "to", "change", "made of", whole=["parcel"])
    for mover in found.movers:
        made_of = ", ".join(f"{reason.name} {reason.change_usd:+,.0f}" for reason in mover.reasons[:4])
        values = (f"{usd:,.0f}" for usd in (mover.value_usd, mover.other_value_usd))
        table.add_row(mover.parcel_id, *values, f"{mover.change_usd:+,.0f}", made_of)
    console.print(table)


def _print_groups(groups: Mapping[str, ChangeSummary], name: str) -> None:
    table = listing(name, "parcels", "up", "down", "from", "to", "change %", "median %", whole=[name])
    for group, told in groups.items():
        counts = (f"{count:,}" for count in (told.parcels, told.increased, told.decreased))
        sums = (f"{usd:,.0f}" for usd in (told.total_usd, told.other_total_usd))
        shares = (
            "" if share is None else f"{share:+.2f}" for share in (told.change_percent, told.median_change_percent)
        )
        table.add_row(group, *counts, *sums, *shares)
    console.print(table)


def _print_posted(report: PostedReport) -> None:
    posting = report.posting
    console.print(f"{posting.file_name}: {posting.parcels:,} parcels, {posting.total_value_usd:,.0f} USD,"
                  f" posted {posting.posted_at} by {posting.posted_by}")  # fmt: skip
    if not report.is_synchronized:
        console.print("the source has not been read since: run `terrafusion sync incremental` after the import")
    console.print(", ".join(f"{count:,} {status}" for status, count in report.counts.items() if count))
    names = ("parcel_id", "status", "reason", "posted_usd", "found_usd", "found_tax_year")
    _print(report.items, names, whole=("parcel_id",), as_json=False)
