"""Servers for tests that ask for them by name (a test that names none starts none), and what counts as passed."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from chassis.embedded.nats_server import EmbeddedNats
from tests.support import servers, sql_server

FORBID_SKIPS = "TERRAFUSION_FORBID_SKIPS"

# a busy machine fails no test, and what a run says of a change is said of the change; soaks draw anew
settings.register_profile("suite", deadline=None, derandomize="TERRAFUSION_NEW_SEEDS" not in os.environ)
settings.register_profile("check", settings.get_profile("suite"), max_examples=30)  # the suite draws a hundred
settings.load_profile("suite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the soak runs to those who ask for them by `-m soak`."""
    if config.option.markexpr:
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soak)
    items[:] = [item for item in items if not item.get_closest_marker("soak")]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The one exception from forbidden skips: no package brings a SQL Server, and not every machine has containers."""
    if collection_path.name != "test_sql_server.py" or os.environ.get(FORBID_SKIPS) != "1":
        return None
    return sql_server.why_none() is not None or None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what nobody has verified."""
    if os.environ.get(FORBID_SKIPS) == "1" and (reason := sql_server.why_none()):
        terminalreporter.write_line(f"unverified on SQL Server: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On a machine that has what every test needs, a skip is a failure."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    _forbid_skip(report)
    return report


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get(FORBID_SKIPS) == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{FORBID_SKIPS}=1 forbids a skip: {reason}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.DatabaseServer]:
    with servers.postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[EmbeddedNats]:
    with servers.nats_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: servers.DatabaseServer) -> Iterator[str]:
    """The name of a database with the whole schema and no rows, to be copied."""
    from chassis import migrations  # noqa: PLC0415  # a test without a database does without Alembic too

    with servers.database(postgres) as (name, url):
        migrations.upgrade(url)
        yield name


@pytest.fixture(scope="module")
def database_url(postgres: servers.DatabaseServer, migrated_template: str) -> Iterator[str]:
    """The URL of a fresh migrated database that this test module has for itself."""
    with servers.database(postgres, template=migrated_template) as (_, url):
        yield url
