"""`terrafusion valuation …`: value, compare, promote, override and post."""

from pathlib import Path
from typing import Annotated, Any

import typer

from clients.sdk.client import TerraFusion
from clients.sdk.connection import gateway, refuse
from clients.sdk.jobs import show, watch_job
from clients.sdk.valuations import Valuations
from contracts.api.jobs import Job

valuation_app = typer.Typer(name="valuation", help="Valuation runs and the roll.", no_args_is_help=True)
RunArgument = Annotated[str, typer.Argument(help="The run's id, which is its job's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the history; no names of people.")]
County = Annotated[str, typer.Option(help="The county's name.")]


@valuation_app.command("run")
def valuation_run(
    county: County,
    *,
    parcel: Annotated[list[str] | None, typer.Option(help="Only this parcel; may be repeated.")] = None,
    neighborhood: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    use_code: Annotated[list[str] | None, typer.Option(help="Only codes that begin so; may be repeated.")] = None,
    tax_year: Annotated[int | None, typer.Option(help="Unless set, that of the record.")] = None,
    valuation_date: Annotated[str | None, typer.Option(help="Unless set, 1 January of the tax year.")] = None,
    model: Annotated[str | None, typer.Option(help="Unless set, the blend.")] = None,
    factor: Annotated[
        list[str] | None,
        typer.Option(help="What if: PERCENT[@neighborhood=A,use_code=B]; may be repeated."),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(help="Year-over-year limit: UP/DOWN[@neighborhood=A,use_code=B], such as 10/5 or 10/."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Put the values of this run through factors and caps, without valuing anew.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Value parcels of a county: all of them unless some are named."""
    given = {"parcel_ids": parcel, "neighborhoods": neighborhood, "use_codes": use_code}
    named = {name: values for name, values in given.items() if values}
    if len(named) > 1:
        refuse("name parcels, neighbourhoods or use codes, not several of them")
    said = {"tax_year": tax_year, "valuation_date": valuation_date, "model": model, "base_run_id": base}
    parameters: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    parameters["scope"] = named or {"all": True}
    parameters |= {"factors": [to_factor(text) for text in factor]} if factor else {}
    parameters |= {"caps": [to_cap(text) for text in cap]} if cap else {}
    with gateway() as client:
        show(_watch(client, client.run("valuation", county, parameters), as_json=as_json))


@valuation_app.command("promote")
def valuation_promote(run: RunArgument, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Ask for a run to be the roll; another person has to approve."""
    with gateway() as client:
        show(_watch(client, Valuations(client).promote(run, reason=reason), as_json=as_json))


@valuation_app.command("approve")
def valuation_approve(run: RunArgument, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Let a run be the roll that another person asked for."""
    with gateway() as client:
        show(_watch(client, Valuations(client).approve(run, reason=reason), as_json=as_json))


@valuation_app.command("reject")
def valuation_reject(run: RunArgument, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Say no to a run that somebody asked for."""
    with gateway() as client:
        show(_watch(client, Valuations(client).reject(run, reason=reason), as_json=as_json))


@valuation_app.command("post")
def valuation_post(
    run: RunArgument,
    *,
    save: Annotated[Path | None, typer.Option(help="Also save the value file in this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write an approved run's value file for the legacy system's import."""
    with gateway() as client:
        job = _watch(client, Valuations(client).post(run), as_json=as_json)
        show(job)
        if save is not None:
            _save(client, job, save)


@valuation_app.command("override")
def valuation_override(
    county: County,
    parcel: Annotated[str, typer.Argument(help="The parcel's id.")],
    value_usd: Annotated[float, typer.Argument(help="The value in dollars.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; no names of people.")],
    land_value_usd: Annotated[float | None, typer.Option(help="Unless set, the model's share.")] = None,
    tax_year: Annotated[int | None, typer.Option(help="Unless set, that of the newest value.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a parcel a person's value, beside the model's."""
    with gateway() as client:
        job = Valuations(client).override(
            county, parcel, value_usd, reason=reason, land_value_usd=land_value_usd, tax_year=tax_year
        )
        show(_watch(client, job, as_json=as_json))


@valuation_app.command("withdraw")
def valuation_withdraw(
    override: Annotated[str, typer.Argument(help="As `valuation overrides` shows it.")],
    *,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Take a person's value back; it stays listed."""
    with gateway() as client:
        show(_watch(client, Valuations(client).withdraw(override, reason=reason), as_json=as_json))


def to_factor(text: str) -> dict[str, Any]:
    """`4@neighborhood=N1,use_code=11` from the command line; without a place it is of every parcel."""
    percent, chosen = _split(text, "--factor")
    return {"percent": _number(percent, "--factor", text), **(chosen or {"all": True})}


def to_cap(text: str) -> dict[str, Any]:
    """`10/5@use_code=11` from the command line: at most 10 % up and 5 % down; a side may be left out."""
    limits, chosen = _split(text, "--cap")
    sides = zip(("increase_percent", "decrease_percent"), limits.split("/", 1), strict=False)
    return {**{name: _number(side, "--cap", text) for name, side in sides if side}, **chosen}


def _split(text: str, option: str) -> tuple[str, dict[str, list[str]]]:
    """What stands before the @, and the choice of parcels behind it."""
    amount, _, conditions = text.partition("@")
    names = {"neighborhood": "neighborhoods", "use_code": "use_codes"}
    chosen: dict[str, list[str]] = {}
    for condition in filter(None, conditions.split(",")):
        name, equals, value = condition.partition("=")
        if name not in names or not equals or not value:
            refuse(f"{option} {text!r}: behind the @ stand neighborhood=… and use_code=…")
        chosen.setdefault(names[name], []).append(value)
    return amount, chosen


def _number(text: str, option: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        refuse(f"{option} {whole!r} does not begin with a number")


def _watch(client: TerraFusion, job: Job, *, as_json: bool) -> Job:
    """Wait for a job; a progress bar is no JSON."""
    return client.wait(job) if as_json else watch_job(client, job)


def _save(client: TerraFusion, job: Job, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for artifact in job.artifacts:
            client.download(job, artifact.name, folder / artifact.name)
    except OSError as error:
        refuse(f"{folder} cannot be written: {error.strerror}")
