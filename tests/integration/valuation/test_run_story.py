"""Runs through the real gateway: made, compared, overridden, promoted by two persons, posted, found again."""

import hashlib
import json
import re
from typing import Any

import asyncpg
import pytest

from chassis.outbox import new_id
from chassis.requests import job_requested
from tests.support.gateways import opened
from tests.support.valuation_story import COUNTY, PAIR, YEAR, Story
from tests.support.waiting import eventually

RUNS, OVERRIDES = "/api/v1/valuation/runs", "/api/v1/valuation/overrides"


async def facts(story: Story, fact: str, subject_id: str) -> list[dict[str, Any]]:
    await story.office.outbox_is_empty()
    messages = await story.office.messages("FACTS", f"valuation.{fact}.{COUNTY}")
    return [json.loads(m.data) for m in messages if (m.headers or {})["ce-subject"] == subject_id]


async def test_a_run_becomes_the_roll_and_is_found_again_in_the_record(story: Story) -> None:
    run = (await story.value("lyn"))["id"]
    detail = await stamped(story, run)
    await compared_with_a_what_if(story, run)
    override = await overridden(story, run)
    await promoted_by_two(story, run, detail)
    content = await posted(story, run, detail)
    await found_again(story, run, content)
    history = (await story.get("ann", f"{RUNS}/{run}"))["history"]
    assert [(one["action"], one["by"]) for one in history] == [
        ("value_overridden", "ann"),
        ("promotion_requested", "ann"),
        ("promotion_approved", "two"),
        ("roll_posted", "ann"),
    ]
    await withdrawn(story, override)


async def stamped(story: Story, run: str) -> dict[str, Any]:
    detail: dict[str, Any] = await story.get("lyn", f"{RUNS}/{run}")
    assert (detail["requested_by"], detail["tax_year"], detail["prior_basis"]) == ("lyn", YEAR, "prior_year")
    assert [(known["pair"], known["sequence"]) for known in detail["snapshot"]] == [(PAIR, 1)]
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", detail["code_version"])
    assert len(detail["values_sha256"]) == 64
    assert detail["flags"]["change_too_large"] == detail["parcels_flagged"] > 20
    assert detail["parcels_valued"] == 400
    return detail


async def compared_with_a_what_if(story: Story, run: str) -> None:
    what_if = await revised(story, run, factors=[{"neighborhoods": ["N3"], "percent": 4}])
    compared = await story.get("lyn", f"{RUNS}/{run}/compare/{what_if}")
    assert compared["overall"]["parcels"] == 400
    assert compared["by_neighborhood"]["N3"]["change_percent"] == pytest.approx(4, abs=0.001)
    assert compared["by_neighborhood"]["N1"]["change_usd"] == 0
    assert compared["overall"]["increased"] == compared["by_neighborhood"]["N3"]["parcels"]
    assert {mover["neighborhood"] for mover in compared["movers"]} == {"N3"}
    assert {reason["name"] for mover in compared["movers"] for reason in mover["reasons"]} == {"what_if_factor"}
    assert set(compared["differences"]) == {"factors", "base_run_id"}


async def revised(story: Story, base: str, **parameters: Any) -> str:
    asked = {"scope": {"all": True}, **parameters, "base_run_id": base}
    run: str = (await story.done("lyn", "/api/v1/valuation/run", {"county": COUNTY, "parameters": asked}))["id"]
    return run


async def overridden(story: Story, run: str) -> str:
    entry = {"county": COUNTY, "parcel_id": "p000007", "value_usd": 123_456, "reason": "seen on site: no foundation"}
    override: str = (await story.done("ann", OVERRIDES, entry))["id"]
    latest = (await story.get("ann", "/api/v1/parcels/p000007"))["latest_value"]
    assert (latest["run_id"], latest["override"]["value_usd"]) == (run, 123_456)
    assert latest["value_usd"] != 123_456
    [said] = await facts(story, "value_overridden", "p000007")
    assert (said["value_usd"], said["model_value_usd"], said["overridden_by"]) == (123_456, latest["value_usd"], "ann")
    return override


async def promoted_by_two(story: Story, run: str, detail: dict[str, Any]) -> None:
    await story.done("ann", f"{RUNS}/{run}/promote", {"reason": "ratio study is in bounds"})
    assert await story.refused("two", "POST", f"{RUNS}/{run}/promote") == (409, "promotion_pending")
    assert await story.refused("two", "POST", f"{RUNS}/{run}/post") == (409, "run_not_approved")
    assert await story.refused("ann", "POST", f"{RUNS}/{run}/approve") == (403, "approver_is_requester")
    assert await story.refused("lyn", "POST", f"{RUNS}/{run}/approve") == (403, "permission_denied")
    assert await facts(story, "run_promoted", run) == []
    await story.done("two", f"{RUNS}/{run}/approve")
    [promoted] = await facts(story, "run_promoted", run)
    assert (promoted["requested_by"], promoted["approved_by"], promoted["overrides"]) == ("ann", "two", 1)
    assert promoted["values_sha256"] == detail["values_sha256"]
    assert promoted["total_value_usd"] == detail["total_value_usd"]


async def posted(story: Story, run: str, detail: dict[str, Any]) -> bytes:
    posting = await story.done("ann", f"{RUNS}/{run}/post")
    assert await story.refused("ann", "POST", f"{RUNS}/{run}/post") == (409, "already_posted")
    result, artifact = posting["result"], posting["artifacts"][0]
    content = await story.file("ann", artifact["href"])
    assert hashlib.sha256(content).hexdigest() == artifact["sha256"] == result["sha256"]
    lines = content.decode("latin-1").splitlines()
    assert len(lines) == result["parcels"] == 400
    assert sum(int(line[47:62]) for line in lines) == result["total_value_usd"]
    assert all(int(line[17:32]) + int(line[32:47]) == int(line[47:62]) for line in lines)
    assert int(next(line for line in lines if line.startswith("p000007"))[47:62]) == 123_456
    manifest = json.loads(await story.file("ann", posting["artifacts"][1]["href"]))
    assert (manifest["values_sha256"], manifest["sequence"]) == (detail["values_sha256"], 1)
    assert "ann" not in manifest.values()
    return content


async def found_again(story: Story, run: str, content: bytes) -> None:
    before = await story.get("ann", f"{RUNS}/{run}/posted")
    assert (before["is_synchronized"], before["counts"]["pending"]) == (False, 400)
    story.legacy.take_values(content)
    story.legacy.change("p000011", total_value_usd=1.0)
    story.legacy.drop("p000012")
    await story.synchronize("incremental")
    after = await story.get("ann", f"{RUNS}/{run}/posted", status="different")
    assert after["counts"] == {"pending": 0, "matched": 398, "different": 1, "missing": 1}
    [different] = after["items"]
    assert (different["parcel_id"], different["found_usd"], different["reason"]) == ("p000011", 1, "value_usd")
    [missing] = (await story.get("ann", f"{RUNS}/{run}/posted", status="missing"))["items"]
    assert (missing["parcel_id"], missing["reason"]) == ("p000012", "inactive")
    await told_by_the_synchronization(story, run)


async def told_by_the_synchronization(story: Story, run: str) -> None:
    """Nobody has to ask: each synchronisation is laid beside the posting, until all of it has come back."""

    async def checks() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await story.get("ann", f"{RUNS}/{run}/posted"))["checks"]
        return found

    [first] = await eventually(checks, "the synchronisation is laid beside the posting")
    assert (first["matched"], first["different"], first["missing"], first["sequence"]) == (398, 1, 1, 2)
    [said] = await facts(story, "roll_checked", run)
    assert (said["matched"], said["different"], said["missing"]) == (398, 1, 1)
    [item] = (await story.get("ann", f"{RUNS}/{run}/posted", status="different"))["items"]
    story.legacy.change("p000011", total_value_usd=item["posted_usd"])
    await story.synchronize("incremental")

    async def mended() -> dict[str, Any] | None:
        newest = (await checks())[0]
        return newest if newest["sequence"] == 3 else None

    assert (await eventually(mended, "the mended one is seen"))["matched"] == 399


async def withdrawn(story: Story, override: str) -> None:
    job = await story.done("two", f"{OVERRIDES}/{override}/withdraw", {"reason": "mended"})
    assert job["result"]["status"] == "withdrawn"
    [listed] = (await story.get("ann", OVERRIDES, parcel_id="p000007"))["items"]
    assert (listed["created_by"], listed["withdrawn_by"], listed["withdrawal_reason"]) == ("ann", "two", "mended")
    assert (await story.get("ann", "/api/v1/parcels/p000007"))["latest_value"]["override"] is None
    assert await story.refused("two", "POST", f"{OVERRIDES}/{override}/withdraw") == (409, "override_not_active")


async def test_what_persons_write_and_who_owns_what_is_in_no_message(story: Story) -> None:
    words = "Mrs. Example asked for it"
    entry = {"county": COUNTY, "parcel_id": "p000030", "value_usd": 200_000, "reason": words}
    job = await story.done("ann", OVERRIDES, entry)
    assert job["parameters"]["override"]["reason"] == words
    await story.office.outbox_is_empty()
    messages = [m.data.decode() for stream in ("JOBS", "FACTS") for m in await story.office.messages(stream)]
    assert any(job["id"] in message for message in messages)
    assert not any(words in message for message in messages)
    await story.done("ann", f"{OVERRIDES}/{job['id']}/withdraw")


async def test_a_what_if_on_a_frozen_run_is_that_of_valuing_anew(story: Story) -> None:
    rules = {"factors": [{"use_codes": ["11"], "percent": -7.5}], "caps": [{"increase_percent": 60}]}
    base = await story.value("lyn", scope={"neighborhoods": ["N0", "N1"]})
    anew = await story.value("lyn", scope={"neighborhoods": ["N0", "N1"]}, **rules)
    run = await revised(story, base["id"], **rules)
    detail = await story.get("lyn", f"{RUNS}/{run}")
    of_base = await story.get("lyn", f"{RUNS}/{base['id']}")
    for name in ("tax_year", "valuation_date", "model", "snapshot", "model_card", "prior_basis", "input_sha256"):
        assert detail[name] == of_base[name]
    assert detail["values_sha256"] == anew["result"]["values_sha256"]
    assert (detail["is_what_if"], of_base["is_what_if"]) == (True, False)
    part = await revised(story, base["id"], scope={"neighborhoods": ["N1"]})
    places = {one["neighborhood"] for one in (await story.get("lyn", f"{RUNS}/{part}/values", limit=1000))["items"]}
    assert places == {"N1"}


async def test_a_what_if_on_what_it_cannot_be_laid_on_is_refused(story: Story) -> None:
    base = (await story.value("lyn", scope={"neighborhoods": ["N1"]}))["id"]
    what_if = await revised(story, base, factors=[{"all": True, "percent": 1}])
    for asked, code in (
        ({"scope": {"all": True}, "base_run_id": what_if}, "base_run_not_plain"),
        ({"scope": {"neighborhoods": ["N9"]}, "base_run_id": base}, "no_parcels_in_scope"),
        ({"scope": {"all": True}, "base_run_id": str(new_id())}, "run_not_found"),
    ):
        job = await story.do("lyn", "/api/v1/valuation/run", {"county": COUNTY, "parameters": asked})
        assert job["error"]["code"] == code
    both = {"scope": {"all": True}, "base_run_id": base, "model": "blend"}
    wrong = {"county": COUNTY, "parameters": both}
    assert await story.refused("lyn", "POST", "/api/v1/valuation/run", json=wrong) == (422, "validation_failed")


async def test_asking_twice_with_a_key_is_asking_once(story: Story) -> None:
    run = (await story.value("lyn", scope={"neighborhoods": ["N7"]}))["id"]
    for user, verb in (("ann", "promote"), ("two", "approve"), ("ann", "post")):
        key = {"headers": {"Idempotency-Key": f"{verb} once"}}
        first = await story.do(user, f"{RUNS}/{run}/{verb}", **key)
        again = await story.do(user, f"{RUNS}/{run}/{verb}", **key)
        assert (first["id"], first["status"]) == (again["id"], "succeeded")
    detail = await story.get("lyn", f"{RUNS}/{run}")
    assert (len(detail["promotions"]), len(detail["postings"])) == (1, 1)


async def test_a_what_if_is_nobodys_latest_value_until_it_is_promoted(story: Story) -> None:
    plain = (await story.value("lyn", scope={"neighborhoods": ["N5"]}))["id"]
    raised = (await story.value("lyn", scope={"neighborhoods": ["N5"]}, factors=[{"all": True, "percent": 100}]))["id"]
    [one] = (await story.get("lyn", f"{RUNS}/{raised}/values", limit=1))["items"]
    latest = f"/api/v1/parcels/{one['parcel_id']}"
    assert one["value_usd"] == pytest.approx(2 * one["model_value_usd"], abs=0.01)
    assert (await story.get("lyn", latest))["latest_value"]["run_id"] == plain
    await story.done("ann", f"{RUNS}/{raised}/promote")
    assert (await story.get("lyn", latest))["latest_value"]["run_id"] == plain
    await story.done("two", f"{RUNS}/{raised}/approve")
    assert (await story.get("lyn", latest))["latest_value"]["run_id"] == raised


async def test_caps_hold_values_to_the_prior_ones_and_flags_list_them(story: Story) -> None:
    job = await story.value("lyn", caps=[{"use_codes": ["1"], "increase_percent": 10, "decrease_percent": 5}])
    listed = (await story.get("lyn", f"{RUNS}/{job['id']}/values", flag="capped", limit=1000))["items"]
    assert len(listed) == job["result"]["flags"]["capped"] > 100
    assert {one["value_usd"] for one in listed} == {319_000, 275_500}
    assert all(one["model_value_usd"] == one["uncapped_value_usd"] != one["value_usd"] for one in listed)
    assert all(one["land_value_usd"] + one["improvement_value_usd"] == one["value_usd"] for one in listed)
    unflagged = (await story.get("lyn", f"{RUNS}/{job['id']}/values", is_flagged="false", limit=1000))["items"]
    flagged = (await story.get("lyn", f"{RUNS}/{job['id']}/values", is_flagged="true", limit=1000))["items"]
    assert len(flagged) == job["result"]["parcels_flagged"]
    assert len(flagged) + len(unflagged) == job["result"]["parcels_valued"]


async def test_two_runs_of_the_same_are_equal_to_the_byte(story: Story) -> None:
    first, again = [await story.value("lyn", scope={"use_codes": ["11"]}) for _ in range(2)]
    assert first["result"]["values_sha256"] == again["result"]["values_sha256"]
    runs = [await story.get("lyn", f"{RUNS}/{job['id']}") for job in (first, again)]
    assert runs[0]["input_sha256"] == runs[1]["input_sha256"]
    assert len(runs[0]["input_sha256"]) == 64
    compared = await story.get("lyn", f"{RUNS}/{first['id']}/compare/{again['id']}")
    assert (compared["overall"]["change_usd"], compared["movers"], compared["differences"]) == (0, [], {})


async def test_an_approval_is_of_the_overrides_that_were_asked_with(story: Story) -> None:
    run = (await story.value("lyn", scope={"neighborhoods": ["N2"]}))["id"]
    [one] = (await story.get("lyn", f"{RUNS}/{run}/values", limit=1))["items"]
    await story.done("ann", f"{RUNS}/{run}/promote")
    entry = {"county": COUNTY, "parcel_id": one["parcel_id"], "value_usd": 9, "reason": "later than the request"}
    override = (await story.done("ann", OVERRIDES, entry))["id"]
    refused = await story.do("two", f"{RUNS}/{run}/approve")
    assert (refused["status"], refused["error"]["code"]) == ("failed", "overrides_changed")
    assert refused["error"]["details"] == {"came": 1, "went": 0}
    again = await story.do("ann", OVERRIDES, entry)
    assert again["error"]["code"] == "override_exists"
    await story.done("ann", f"{OVERRIDES}/{override}/withdraw")
    await story.done("two", f"{RUNS}/{run}/reject", {"reason": "not yet"})
    assert await story.refused("two", "POST", f"{RUNS}/{run}/approve") == (409, "promotion_decided")
    assert (await story.get("lyn", f"{RUNS}/{run}"))["promotion_status"] == "rejected"


async def test_a_person_values_what_no_model_can(story: Story) -> None:
    story.legacy.add_bare("bare1")
    story.legacy.add_bare("bare2")
    await story.synchronize("incremental")
    job = await story.value("lyn", scope={"parcel_ids": ["p000001", "bare1", "bare2"]})
    run = job["id"]
    assert (job["result"]["parcels_valued"], sum(job["result"]["parcels_refused"].values())) == (1, 2)
    entry = {"county": COUNTY, "value_usd": 90_000.5, "reason": "appraised by hand"}
    await story.done("ann", OVERRIDES, {**entry, "parcel_id": "bare1", "land_value_usd": 30_000})
    await story.done("ann", OVERRIDES, {**entry, "parcel_id": "bare2"})
    await story.done("ann", f"{RUNS}/{run}/promote")
    await story.done("two", f"{RUNS}/{run}/approve")
    posting = await story.done("ann", f"{RUNS}/{run}/post")
    lines = (await story.file("ann", posting["artifacts"][0]["href"])).decode().splitlines()
    assert [line[:12].strip() for line in lines] == ["bare1", "p000001"]
    assert lines[0][17:] == "000000000030000000000000060001000000000090001"
    manifest = json.loads(await story.file("ann", posting["artifacts"][1]["href"]))
    assert manifest["left_out"] == {"bare2": "land_value_missing"}
    assert posting["result"]["parcels_left_out"] == 1


async def test_what_has_left_the_roll_since_is_not_posted(story: Story) -> None:
    run = (await story.value("lyn", scope={"parcel_ids": ["p000002", "p000003"]}))["id"]
    await story.done("ann", f"{RUNS}/{run}/promote")
    await story.done("two", f"{RUNS}/{run}/approve")
    story.legacy.drop("p000003")
    await story.synchronize("incremental")
    posting = await story.done("ann", f"{RUNS}/{run}/post")
    assert (posting["result"]["parcels"], posting["result"]["parcels_left_out"]) == (1, 1)
    manifest = json.loads(await story.file("ann", posting["artifacts"][1]["href"]))
    assert manifest["left_out"] == {"p000003": "inactive"}


async def test_a_synchronization_that_is_told_twice_is_checked_once(story: Story) -> None:
    run = (await story.value("lyn", scope={"parcel_ids": ["p000004"]}))["id"]
    await story.done("ann", f"{RUNS}/{run}/promote")
    await story.done("two", f"{RUNS}/{run}/approve")
    await story.done("ann", f"{RUNS}/{run}/post")
    story.legacy.change("p000004", total_value_usd=1.0)
    await story.synchronize("incremental")

    async def checks() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await story.get("ann", f"{RUNS}/{run}/posted"))["checks"]
        return found

    [before] = await eventually(checks, "the synchronisation is laid beside the posting")
    *_, last = await story.office.messages("FACTS", f"sync.completed.{COUNTY}")
    again = {**(last.headers or {}), "Nats-Msg-Id": str(new_id())}
    await story.office.jetstream.publish(last.subject, last.data, headers=again)
    await story.office.jetstream.publish(last.subject, b"{}", headers={"Nats-Msg-Id": str(new_id())})
    story.legacy.change("p000005", land_value_usd=2.0)
    await story.synchronize("incremental")

    async def another() -> list[dict[str, Any]] | None:
        found = await checks()
        return found if len(found) > 1 else None

    assert (await eventually(another, "the next one is laid beside it"))[1:] == [before]
    assert len(await facts(story, "roll_checked", run)) == 2


async def test_the_worker_refuses_what_passed_by_the_gateways_look(story: Story) -> None:
    run = (await story.value("lyn", scope={"neighborhoods": ["N4"]}))["id"]
    promotion = (await story.done("ann", f"{RUNS}/{run}/promote"))["id"]
    body = {"county": COUNTY, "parameters": {"mode": "approve", "promotion_id": promotion}}
    own = await story.do("ann", "/api/v1/valuation/run", body)
    assert own["error"]["code"] == "approver_is_requester"
    by_itself = await story.office.submit("valuation", mode="approve", promotion_id=promotion, publish=False)
    async with story.office.database.begin(COUNTY) as unit:
        row = await unit.connection.fetchrow(
            "UPDATE chassis.job SET requested_by = 'schedule:sneaky' WHERE id = $1 RETURNING *", by_itself
        )
        unit.publish_message(job_requested(row, service="gateway"))
    job = await story.office.ended(by_itself)
    assert (job["status"], job["error"]["code"]) == ("failed", "person_required")
    assert (await story.get("ann", f"{RUNS}/{run}"))["promotion_status"] == "requested"
    async with opened(story.office.database_url, "valuation") as database:
        with pytest.raises(asyncpg.CheckViolationError):
            async with database.begin(COUNTY) as unit:
                await unit.connection.execute(
                    "UPDATE valuation.promotion SET status = 'approved', decided_by = 'ANN' WHERE id = $1", promotion
                )


@pytest.mark.parametrize("table", ["model_run", "parcel_value", "posted_value", "decision"])
async def test_what_was_made_cannot_be_changed(story: Story, table: str) -> None:
    async with opened(story.office.database_url, "valuation") as database:
        for statement in (f"DELETE FROM valuation.{table}", f"UPDATE valuation.{table} SET county = county"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with database.begin(COUNTY) as unit:
                    await unit.connection.execute(statement)


async def test_who_may_see_and_decide(story: Story) -> None:
    run = (await story.value("lyn", scope={"neighborhoods": ["N6"]}))["id"]
    assert await story.refused("fay", "GET", f"{RUNS}/{run}") == (404, "run_not_found")
    assert await story.refused("vic", "GET", f"{RUNS}/{run}") == (403, "permission_denied")
    assert await story.refused("lyn", "GET", f"{RUNS}/{new_id()}") == (404, "run_not_found")
    assert await story.refused("lyn", "GET", f"{RUNS}/{run}/posted") == (404, "posting_not_found")
    assert await story.refused("lyn", "GET", f"{RUNS}/{run}/compare/{new_id()}") == (404, "run_not_found")
    entry = {"county": COUNTY, "parcel_id": "p000001", "value_usd": 1, "reason": "because"}
    assert await story.refused("lyn", "POST", OVERRIDES, json=entry) == (403, "permission_denied")
    unknown = {**entry, "parcel_id": "nobody"}
    assert await story.refused("ann", "POST", OVERRIDES, json=unknown) == (404, "parcel_not_found")
    assert await story.refused("two", "POST", f"{RUNS}/{run}/approve") == (409, "promotion_not_requested")
    wrong = {"county": COUNTY, "parameters": {"scope": {"all": True}, "factors": [{"percent": 4}]}}
    assert await story.refused("lyn", "POST", "/api/v1/valuation/run", json=wrong) == (422, "validation_failed")


async def test_lists_go_page_by_page(story: Story) -> None:
    first = await story.get("lyn", RUNS, limit=1)
    rest = await story.get("lyn", RUNS, limit=500, cursor=first["next"])
    every = await story.get("lyn", RUNS, limit=500)
    assert [first["items"][0], *rest["items"]] == every["items"]
    assert len(every["items"]) > 3
    run = every["items"][-1]["run_id"]
    page = await story.get("lyn", f"{RUNS}/{run}/values", limit=150)
    more = await story.get("lyn", f"{RUNS}/{run}/values", limit=150, cursor=page["next"])
    assert page["items"][-1]["parcel_id"] < more["items"][0]["parcel_id"]
    assert await story.refused("lyn", "GET", RUNS, params={"cursor": "x"}) == (422, "cursor_invalid")
