"""What would take many rows away at once: truncated and loaded again, or read as if nothing were there."""

from typing import Any

import pytest

from tests.support.small_source import LOTS, MARKS, marked_lots, small_pair

ROWS = "INSERT INTO dbo.lot SELECT n, 'L' || n, n, 'old' FROM generate_series(1, 1000) n;"


async def _held(small: Any) -> dict[str, Any]:
    """An incremental run that changes nothing and asks; answers the question."""
    before = await small.landed("lot")
    job = await small.bench.run("incremental")
    (asked,) = await small.bench.fetch("SELECT * FROM ingest.approval_v1 WHERE status = 'pending'")
    assert job["status"] == "failed", job["result"]
    assert await small.landed("lot") == before
    assert await small.said() == []
    question: dict[str, Any] = asked
    return question


async def _decide(small: Any, mode: str, question: dict[str, Any]) -> dict[str, Any]:
    job = await small.bench.run(mode, approval_id=str(question["id"]))
    assert job["status"] == "succeeded", job["error"]
    decided: dict[str, Any] = job
    return decided


async def test_p20_a_table_truncated_and_loaded_with_the_same_rows_says_nothing(follow_small: Any, reader: str) -> None:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)))
    await small.follow()
    small.execute(
        "CREATE TABLE dbo.kept AS SELECT * FROM dbo.lot",
        'TRUNCATE dbo.lot; INSERT INTO dbo.lot SELECT lot_id, number, amount, note, changed_at, "tsRowVersion"'
        " FROM dbo.kept",
    )
    await small.follow()
    assert await small.said() == []
    await small.assert_equal()


async def test_p20_a_table_truncated_and_loaded_with_fewer_rows_asks_first(follow_small: Any, reader: str) -> None:
    """Truncating resets what a log knows and bumps no stamp: the deletions have to appear, once a person agrees."""
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)))
    await small.follow()
    small.execute(
        "CREATE TABLE dbo.kept AS SELECT * FROM dbo.lot WHERE lot_id % 2 = 0",
        "TRUNCATE dbo.lot; INSERT INTO dbo.lot SELECT * FROM dbo.kept",
    )
    question = await _held(small)
    await _decide(small, "approve", question)
    await small.follow()
    await small.assert_equal()
    assert len(await small.landed("lot")) == 500


async def test_p20_what_a_person_refuses_is_not_applied(follow_small: Any) -> None:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots("hash_diff")))
    await small.follow()
    before = await small.landed("lot")
    small.execute("CREATE TABLE dbo.kept AS TABLE dbo.lot", "DELETE FROM dbo.lot WHERE lot_id > 400")
    question = await _held(small)
    await _decide(small, "reject", question)
    assert await small.landed("lot") == before
    small.execute("INSERT INTO dbo.lot SELECT * FROM dbo.kept WHERE lot_id > 400")
    assert (await small.follow())["changes"] == 0


@pytest.mark.parametrize("taken", ["TRUNCATE dbo.lot", "DELETE FROM dbo.lot"])
async def test_p32_an_empty_read_deletes_nothing(follow_small: Any, reader: str, taken: str) -> None:
    small = await follow_small(LOTS + MARKS + ROWS, small_pair(marked_lots(reader)))
    await small.follow()
    before = await small.landed("lot")
    small.execute("CREATE TABLE dbo.kept AS TABLE dbo.lot", taken)
    assert await small.fail() == "empty_read"
    assert await small.landed("lot") == before
    small.execute("INSERT INTO dbo.lot TABLE dbo.kept")
    await small.follow()
    await small.assert_equal()
    assert await small.said() == []


async def test_p32_a_small_table_read_empty_is_not_wiped_either(follow_small: Any) -> None:
    small = await follow_small(
        LOTS + MARKS + "INSERT INTO dbo.lot VALUES (1, 'A', 1, NULL)", small_pair(marked_lots("hash_diff"))
    )
    await small.follow()
    small.execute("DELETE FROM dbo.lot")
    assert await small.fail() == "empty_read"
    assert len(await small.landed("lot")) == 1
