"""Odd sales are found, decided about by a person, and count as decided in values; the source's code stays."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clients.sdk.cli import app
from tests.support.valuation_story import COUNTY, Story

REVIEW, RUNS = "/api/v1/sales/review", "/api/v1/valuation/runs"


async def look(story: Story) -> dict[str, Any]:
    """Let the sales be scrutinised."""
    asked = {"county": COUNTY, "parameters": {"mode": "review_sales"}}
    job = await story.done("lyn", "/api/v1/valuation/run", asked)
    result: dict[str, Any] = job["result"]
    return result


async def test_a_sale_is_found_decided_and_counts_so(story: Story) -> None:
    odd_price, odd_sale = 9_000_000.0, await make_odd(story)
    found = await look(story)
    assert found["findings"]["price_too_high"] >= 1
    [sale] = (await story.get("lyn", REVIEW, county=COUNTY, sale_id=odd_sale))["items"]
    assert (sale["sale_price_usd"], sale["is_qualified"], sale["decision"]) == (odd_price, True, None)
    assert sale["findings"][0]["figures"]["expected_price_usd"] < odd_price / 5
    first = (await story.get("lyn", REVIEW, county=COUNTY, limit=1))["items"][0]
    assert first["influence_percent"] >= sale["influence_percent"] > 0

    before = await story.value("lyn")
    decided = await say(story, odd_sale, "invalid")
    assert (await story.get("lyn", REVIEW, county=COUNTY, sale_id=odd_sale))["items"] == []
    [sale] = (await story.get("lyn", REVIEW, county=COUNTY, status="decided"))["items"]
    assert (sale["decision"]["id"], sale["decision"]["is_current"]) == (decided, True)
    assert (sale["decision"]["decided_by"], sale["validity_code"], sale["is_qualified"]) == ("ann", "1", True)
    after = await story.value("lyn")
    assert after["result"]["sales_refused"].get("invalid_by_review") == 1
    stamps = [await story.get("lyn", f"{RUNS}/{run['id']}") for run in (before, after)]
    assert [stamp["model_card"]["sale_decisions"] for stamp in stamps] == [{}, {"invalid": 1}]
    assert stamps[0]["input_sha256"] != stamps[1]["input_sha256"]
    assert after["result"]["sales_used"] == before["result"]["sales_used"] - 1

    await say(story, odd_sale, "needs_more")
    again = await story.value("lyn")
    assert again["result"]["values_sha256"] == before["result"]["values_sha256"]
    assert [item["sale_id"] for item in await pages(story)].count(odd_sale) == 1
    messages = await story.office.messages("FACTS", f"valuation.sale_decided.{COUNTY}")
    assert len(messages) == 2
    assert not any(b"between relatives" in message.data for message in messages)


async def test_sales_are_reviewed_by_commands(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_odd(story)
    monkeypatch.setenv("TERRAFUSION_GATEWAY_URL", story.gateway.url)

    async def run(user: str, *words: str) -> Result:
        async with await story.gateway.client(user) as client:
            monkeypatch.setenv("TERRAFUSION_TOKEN", client.headers["Authorization"].removeprefix("Bearer "))
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["sales", *words]))

    counted = await run("lyn", "scrutinize", "--county", COUNTY, "--json")
    assert counted.exit_code == 0, (counted.output, counted.exception)
    listed = json.loads((await run("lyn", "review", "--county", COUNTY, "--json")).stdout)
    sale = listed[0]["sale_id"]
    said = await run("ann", "decide", sale, "valid", "--county", COUNTY, "--reason", "a lake lot", "--json")
    assert said.exit_code == 0, (said.output, said.exception)
    shown = await run("lyn", "review", "--status", "decided", "--county", COUNTY)
    assert (shown.exit_code, sale in shown.stdout, "valid" in shown.stdout) == (0, True, True)
    assert sale not in (await run("lyn", "review", "--county", COUNTY)).stdout


async def test_a_decision_is_about_the_price_that_it_was_made_of(story: Story) -> None:
    odd_sale = await make_odd(story)
    await look(story)
    await say(story, odd_sale, "valid")
    await make_odd(story, price="9500000.0")
    await look(story)
    [sale] = (await story.get("lyn", REVIEW, county=COUNTY, sale_id=odd_sale))["items"]
    assert (sale["sale_price_usd"], sale["decision"]["decision"]) == (9_500_000, "valid")
    assert sale["decision"]["is_current"] is False
    run = await story.value("lyn")
    card = (await story.get("lyn", f"{RUNS}/{run['id']}"))["model_card"]
    await make_odd(story)
    await look(story)
    again = await story.value("lyn")
    decided = (await story.get("lyn", f"{RUNS}/{again['id']}"))["model_card"]["sale_decisions"]
    assert decided.get("valid", 0) == card["sale_decisions"].get("valid", 0) + 1


async def test_who_may_not_decide_and_what_is_not_there(story: Story) -> None:
    body = {"county": COUNTY, "decision": "valid", "reason": "seen"}
    assert await story.refused("lyn", "POST", "/api/v1/sales/s1/decision", json=body) == (403, "permission_denied")
    assert await story.refused("ann", "POST", "/api/v1/sales/none/1/decision", json=body) == (404, "sale_not_found")
    wrong = {**body, "decision": "perhaps"}
    assert (await story.refused("ann", "POST", "/api/v1/sales/s1/decision", json=wrong))[0] == 422
    assert await story.refused("lyn", "GET", REVIEW, params={"cursor": "x"}) == (422, "cursor_invalid")


async def make_odd(story: Story, price: str = "9000000.0") -> str:
    """Three sales of the legacy system get prices that no market pays."""
    path = story.folder / "legacy" / "sales.csv"
    lines = path.read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    for row, paid in ((rows[200], price), (rows[210], "20000.0"), (rows[220], "8000000.0")):
        row["sale_price_usd"] = paid
    path.write_text("\n".join([lines[0], *(",".join(row.values()) for row in rows)]) + "\n")
    await story.synchronize("full")
    return rows[200]["sale_id"]


async def say(story: Story, sale_id: str, decision: str) -> str:
    body = {"county": COUNTY, "decision": decision, "reason": "between relatives"}
    job = await story.done("ann", f"/api/v1/sales/{sale_id}/decision", body)
    await story.office.outbox_is_empty()
    decision_id: str = job["id"]
    return decision_id


async def pages(story: Story) -> list[dict[str, Any]]:
    """The whole queue, two sales at a time; its order is that of influence."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"county": COUNTY, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = await story.get("lyn", REVIEW, **query)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    influences = [item["influence_percent"] for item in found]
    assert influences == sorted(influences, reverse=True)
    assert len({item["sale_id"] for item in found}) == len(found) >= 3
    return found
