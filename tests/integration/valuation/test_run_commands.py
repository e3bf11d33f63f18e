"""`terrafusion valuation …` by the people of a county, against a real platform."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clients.sdk.cli import app
from clients.sdk.valuation import to_cap, to_factor
from tests.support.valuation_story import COUNTY, Story

Command = Callable[..., Awaitable[Result]]


@pytest.fixture
def command(story: Story, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command line of a user."""
    monkeypatch.setenv("TERRAFUSION_GATEWAY_URL", story.gateway.url)

    async def run(user: str, *words: str) -> Result:
        async with await story.gateway.client(user) as client:
            monkeypatch.setenv("TERRAFUSION_TOKEN", client.headers["Authorization"].removeprefix("Bearer "))
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["valuation", *words]))

    return run


async def said(command: Command, user: str, *words: str) -> Any:
    """What a command prints for programs."""
    outcome = await command(user, *words, "--json")
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    return json.loads(outcome.stdout)


async def test_a_roll_is_made_by_commands(story: Story, command: Command, tmp_path: Path) -> None:
    asked = ("run", "--county", COUNTY, "--neighborhood", "N1", "--model", "hedonic")
    run = (await said(command, "lyn", *asked))["id"]
    raised = (await said(command, "lyn", *asked, "--factor", "4@use_code=11", "--cap", "500/"))["id"]
    listed = await said(command, "lyn", "runs", "--county", COUNTY)
    assert [one["run_id"] for one in listed[:2]] == [raised, run]
    assert [one["is_what_if"] for one in listed[:2]] == [True, False]

    compared = await said(command, "lyn", "compare", run, raised, "--movers", "3")
    assert compared["overall"]["change_percent"] == pytest.approx(4, abs=0.01)
    printed = await command("lyn", "compare", run, raised)
    assert (printed.exit_code, "what_if_factor" in printed.stdout) == (0, True)
    values = await said(command, "lyn", "values", raised, "--limit", "5")
    assert len(values) == 5

    parcel = values[0]["parcel_id"]
    entered = ("override", "--county", COUNTY, parcel, "250000", "--reason", "seen on site", "--land-value-usd", "9")
    override = (await said(command, "ann", *entered))["id"]
    [known] = await said(command, "ann", "overrides", "--parcel", parcel, "--active")
    assert (known["id"], known["land_value_usd"]) == (override, 9)

    await said(command, "ann", "promote", raised, "--reason", "as compared")
    own = await command("ann", "approve", raised)
    assert (own.exit_code, "approver_is_requester" in own.stderr) == (1, True)
    await said(command, "two", "approve", raised)
    posting = await said(command, "ann", "post", raised, "--save", str(tmp_path / "out"))
    [file] = (tmp_path / "out").glob("*.txt")
    assert posting["result"]["file_name"] == file.name
    assert "approved" in (await command("lyn", "show", raised)).stdout

    waiting = await command("lyn", "posted", raised)
    assert (waiting.exit_code, "has not been read since" in waiting.stdout) == (1, True)
    story.legacy.take_values(file.read_bytes())
    await story.synchronize("incremental")
    back = await command("lyn", "posted", raised)
    assert (back.exit_code, f"{posting['result']['parcels']:,} matched" in back.stdout) == (0, True), back.stdout
    await said(command, "two", "withdraw", override, "--reason", "mended")


async def test_a_promotion_is_rejected_by_command(command: Command) -> None:
    run = (await said(command, "lyn", "run", "--county", COUNTY, "--use-code", "11", "--model", "hedonic"))["id"]
    await said(command, "ann", "promote", run)
    await said(command, "ann", "reject", run, "--reason", "taken back")
    [first] = await said(command, "lyn", "runs", "--limit", "1")
    assert (first["run_id"], first["promotion_status"]) == (run, "rejected")


def test_factors_and_caps_are_read_from_words() -> None:
    assert to_factor("4") == {"percent": 4, "all": True}
    assert to_factor("-2.5@neighborhood=N1,neighborhood=N2,use_code=11") == {
        "percent": -2.5,
        "neighborhoods": ["N1", "N2"],
        "use_codes": ["11"],
    }
    assert to_cap("10/5") == {"increase_percent": 10, "decrease_percent": 5}
    assert to_cap("/5@use_code=9") == {"decrease_percent": 5, "use_codes": ["9"]}
    assert to_cap("10") == {"increase_percent": 10}


@pytest.mark.parametrize("words", ["x", "4@place=N1", "4@neighborhood=", "4@neighborhood"])
def test_words_that_are_no_factor_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        to_factor(words)
    assert "--factor" in capsys.readouterr().err
