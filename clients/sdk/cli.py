"""The `terrafusion` command: a registry, one line per command; the work is in the modules it names."""

import typer

from clients.sdk.county import county_app
from clients.sdk.ratio_study import ratio_study_command

app = typer.Typer(name="terrafusion", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def terrafusion() -> None:
    """Stand beside a county's legacy CAMA system: follow it, value it, report and export it."""


app.command("ratio-study")(ratio_study_command)
app.add_typer(county_app)


def main() -> None:
    """Run the command named on the command line."""
    app()
