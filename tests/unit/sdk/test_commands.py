"""What the command prints where a server is away, and where the bus tells it strange things."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.deadletters import StoredLetter
from clients.sdk import connection, dead_letters, up
from clients.sdk.cli import app
from contracts.events.chassis import DeadLettered

JOB_ID = "01a1fb92-31a8-7225-af99-18f6f893bd9d"
runner = CliRunner()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def no_servers(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.3)
    monkeypatch.setenv("TERRAFUSION_OPERATIONAL_DB_URL", f"postgresql://nobody@127.0.0.1:{closed_port}/none")
    monkeypatch.setenv("TERRAFUSION_NATS_URL", f"nats://127.0.0.1:{closed_port}")


@pytest.mark.usefixtures("no_servers")
@pytest.mark.parametrize(
    "command", [["dlq", "list"], ["dlq", "redrive", "1"], ["users", "create", "someone"], ["migrate"]]
)
def test_a_server_that_is_away_is_one_line_that_says_what_to_do(command: list[str]) -> None:
    outcome = runner.invoke(app, command, input="long enough\n")
    assert outcome.exit_code == 1
    assert isinstance(outcome.exception, SystemExit)
    assert "terrafusion doctor" in outcome.stderr


def test_a_dead_letter_prints_as_it_is_and_its_job_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = DeadLettered.model_validate(
        {
            "county": "benton",
            "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
            "service": "gisexport",
            "code": "field_unknown",
            "reason": "parcels have no field '[/red]' [a-z]",
            "job_id": JOB_ID,
            "original_subject": "job.gis_export.requested.benton",
            "original_headers": {},
            "original_body": "",
            "deliveries": 1,
        }
    )

    async def letters(_county: str | None, _limit: int) -> list[StoredLetter]:
        return [StoredLetter(7, letter)]

    monkeypatch.setattr(dead_letters, "_list", letters)
    outcome = runner.invoke(app, ["dlq", "list"])
    assert outcome.exit_code == 0, outcome.exception
    assert "[/red]" in outcome.stdout
    assert "[a-z]" in outcome.stdout
    assert JOB_ID in outcome.stdout


def test_a_platform_that_was_killed_is_not_taken_for_a_running_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "up.json"
    monkeypatch.setattr(connection, "UP_FILE", path)
    assert connection.running_platform() == {}
    path.write_text(json.dumps({"pid": os.getpid(), "gateway_url": "http://here"}))
    assert connection.running_platform()["gateway_url"] == "http://here"
    with subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()
    path.write_text(json.dumps({"pid": ended.pid, "gateway_url": "http://gone"}))
    assert connection.running_platform() == {}


def test_a_damaged_description_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "up.json"
    path.write_text("{")
    monkeypatch.setattr(connection, "UP_FILE", path)
    with pytest.raises(SystemExit):
        connection.running_platform()
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "99999", "-1"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    assert runner.invoke(app, ["up", "--port", port]).exit_code == 2


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        ("TERRAFUSION_OPERATIONAL_DB_URL", connection.database_url),
        ("TERRAFUSION_NATS_URL", connection.nats_url),
        ("TERRAFUSION_GATEWAY_URL", connection.gateway_url),
    ],
)
def test_a_setting_that_is_no_url_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, read: Callable[[], str]
) -> None:
    monkeypatch.setenv(variable, "nonsense-with-a-password")
    with pytest.raises(SystemExit):
        read()
    told = capsys.readouterr().err
    assert variable in told
    assert "password" not in told


def test_the_first_signal_interrupts_and_the_next_does_not() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        up.interrupt_once()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGHUP) is signal.getsignal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
