"""`terrafusion source …`: look at a legacy system before following it."""

# Reading a source needs libraries that other commands do not: they are imported when the command runs.
# ruff: noqa: PLC0415

from typing import Annotated

import typer
from rich.console import Console

from clients.sdk.connection import refuse

source_app = typer.Typer(name="source", help="Legacy systems.", no_args_is_help=True)


@source_app.callback()
def source() -> None:
    """Look at a legacy system before following it."""


@source_app.command("probe")
def source_probe(pair: Annotated[str, typer.Argument(help="A sync pair, such as benton_pacs.")]) -> None:
    """Say what a pair's source is, whether the mapping fits, and how each table is followed; no row is read."""
    from chassis.counties import county_names
    from chassis.errors import NotFoundError, TerraFusionError
    from chassis.settings import ServiceSettings
    from services.ingest.mappings import load_pair
    from services.ingest.source_probe import probe

    folder = ServiceSettings().counties_dir
    for county in county_names(folder):
        try:
            load_pair(folder, county, pair)
        except NotFoundError:
            continue
        try:
            report = probe(folder, county, pair)
        except TerraFusionError as error:
            refuse(f"{error.message} ({error.code})")
        Console(highlight=False).print_json(data=report, default=str)
        raise typer.Exit(1 if report["differences"] else 0)
    refuse(f"there is no pair {pair!r} in the county folders of {folder}")
