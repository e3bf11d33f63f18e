"""The `terrafusion` command: a registry, one line per command; the work is in the modules it names."""

import typer

from clients.sdk.accounts import users_app
from clients.sdk.backtest import backtest_command
from clients.sdk.county import county_app
from clients.sdk.county_folder import county_check, county_new
from clients.sdk.dead_letters import dlq_app
from clients.sdk.demo import demo_command
from clients.sdk.jobs import jobs_app
from clients.sdk.operations import doctor_command, migrate_command, migration_command
from clients.sdk.ratio_study import ratio_study_command
from clients.sdk.sales import sales_app
from clients.sdk.source import source_app
from clients.sdk.sync import sync_app
from clients.sdk.sync_views import sync_conflicts, sync_quarantine, sync_schedules, sync_status
from clients.sdk.up import up_command
from clients.sdk.valuation import valuation_app
from clients.sdk.valuation_views import (
    valuation_compare,
    valuation_overrides,
    valuation_posted,
    valuation_runs,
    valuation_show,
    valuation_values,
)

app = typer.Typer(name="terrafusion", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def terrafusion() -> None:
    """Stand beside a county's legacy CAMA system: follow it, value it, report and export it."""


app.command("up")(up_command)
app.command("demo")(demo_command)
app.command("migrate")(migrate_command)
app.command("doctor")(doctor_command)
app.command("migration", hidden=True)(migration_command)
app.command("ratio-study")(ratio_study_command)
county_app.command("new")(county_new)
county_app.command("check")(county_check)
sync_app.command("status")(sync_status)
sync_app.command("quarantine")(sync_quarantine)
sync_app.command("conflicts")(sync_conflicts)
sync_app.command("schedules")(sync_schedules)
valuation_app.command("backtest")(backtest_command)
valuation_app.command("runs")(valuation_runs)
valuation_app.command("show")(valuation_show)
valuation_app.command("values")(valuation_values)
valuation_app.command("compare")(valuation_compare)
valuation_app.command("overrides")(valuation_overrides)
valuation_app.command("posted")(valuation_posted)
app.add_typer(county_app)
app.add_typer(users_app)
app.add_typer(jobs_app)
app.add_typer(dlq_app)
app.add_typer(source_app)
app.add_typer(sales_app)
app.add_typer(sync_app)
app.add_typer(valuation_app)


def main() -> None:
    """Run the command named on the command line."""
    app()
