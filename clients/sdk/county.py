"""`terrafusion county …`: a county's folder and its synthetic source."""

# Numerical libraries take most of a second to import: commands import them when they run.
# ruff: noqa: PLC0415

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from contracts.subjects import COUNTY_PATTERN

if TYPE_CHECKING:
    from services.ingest.synthetic.truth import Truth

REFUSED = 2  # exit code for input that cannot be used, as for a wrong option

county_app = typer.Typer(name="county", help="Counties: synthetic sources.", no_args_is_help=True)


@county_app.command("synthesize")
def county_synthesize(
    name: Annotated[str, typer.Argument(help="The county's name, such as synthetic_wa.")],
    *,
    parcels: Annotated[int, typer.Option(help="Active real parcels to make.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal counties.")] = 1,
    tax_year: Annotated[int, typer.Option(min=1990, max=2100, help="The appraisal year.")] = 2026,
    source_url: Annotated[
        str | None,
        typer.Option(help="PostgreSQL URL of the source database; else TERRAFUSION_SOURCE_<NAME>_PACS_URL."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Where to write what was planted; else var/<name>/truth.json.")
    ] = None,
) -> None:
    """Make a synthetic county in a PACS-shaped source database, and write down the truth about it."""
    import psycopg

    from chassis.errors import PermanentError
    from services.ingest.synthetic.county import synthesize, write_truth

    _check_name(name)
    path = truth or Path("var") / name / "truth.json"
    try:
        made = synthesize(_source_url(name, source_url), county=name, parcels=parcels, seed=seed, tax_year=tax_year)
        write_truth(path, made)
    except (PermanentError, ValueError, OSError) as error:
        _refuse(str(error))
    except psycopg.Error as error:
        _refuse(f"the source database: {str(error).splitlines()[0]}")
    _print_made(made, path)


def _check_name(name: str) -> None:
    if re.fullmatch(COUNTY_PATTERN, name) is None:
        _refuse(f"{name!r} is no county name: lower case letters, digits and _, 2 to 40 of them")


def _source_url(name: str, given: str | None) -> str:
    variable = f"TERRAFUSION_SOURCE_{name.upper()}_PACS_URL"
    url = given or os.environ.get(variable)
    if not url:
        _refuse(f"no source database: give --source-url or set {variable}")
    if not url.startswith(("postgresql://", "postgres://")):
        _refuse("the source URL must begin with postgresql://")
    return url


def _print_made(truth: "Truth", path: Path) -> None:
    expected = truth.expected
    print(f"{truth.county}: a synthetic county for {truth.tax_year}, seed {truth.seed}")
    lines = {
        "active real parcels": expected.active_real_parcels,
        "neighborhoods": expected.neighborhoods,
        "sales": expected.sales,
        "qualified sales": expected.qualified_sales,
        "source rows": sum(expected.rows.values()),
        "dirty rows planted": len(truth.dirty_rows),
        "changes planned": len(truth.incremental_changes),
    }
    for label, count in lines.items():
        print(f"  {label:<20} {count:>12,}")
    print(f"  {'monthly trend':<20} {truth.monthly_trend_percent:>10} %")
    print(f"truth: {path}")


def _refuse(message: str) -> NoReturn:
    typer.echo(f"terrafusion county: {message}", err=True)
    raise typer.Exit(REFUSED)
