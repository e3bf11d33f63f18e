"""Personal values as codes, test after test: without a key nothing is read; equal values have equal codes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support import servers
from tests.support.small_source import LOTS, NO_BRAKE, PAIR, Small, lot_table, small_pair, small_source

PEOPLE = """
CREATE TABLE dbo.person (person_id integer PRIMARY KEY, lot_id integer NOT NULL, full_name varchar(70));
INSERT INTO dbo.lot VALUES (1, 'A', 1, 'x'), (2, 'B', 2, 'y');
INSERT INTO dbo.person VALUES (1, 1, 'DOE JANE'), (2, 2, 'DOE JANE'), (3, 2, 'ROE RICHARD'), (4, 2, NULL);
"""
PERSON: dict[str, Any] = {
    "name": "person",
    "key": ["person_id"],
    "columns": {"person_id": "integer", "lot_id": "integer", "full_name": "text"},
    "links": {"parcel_id": "lot_id"},
    "personal": ["full_name"],
    "personal_as": {"full_name": "hmac"},
}
SECRET = "a secret of a county that is long enough"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(
    postgres: servers.DatabaseServer, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Small]:
    pair = small_pair(lot_table(), PERSON, following=NO_BRAKE)
    async with small_source(
        postgres, database_url, tmp_path_factory.mktemp("small"), ddl=LOTS + PEOPLE, pair=pair
    ) as found:
        yield found


async def _codes(small: Small) -> list[str | None]:
    rows = await small.bench.fetch("SELECT image FROM ingest.source_row WHERE source_table = 'person' ORDER BY key")
    images = [json.loads(row["image"]) if isinstance(row["image"], str) else row["image"] for row in rows]
    return [image["full_name"] for image in images]


@pytest.mark.parametrize("secret", ["", "x" * 31])
async def test_without_a_key_nothing_is_read(small: Small, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("TERRAFUSION_SECRET_KEY", secret)
    monkeypatch.setenv(f"TERRAFUSION_SOURCE_{PAIR.upper()}_URL", "postgresql://127.0.0.1:1/nowhere")
    job = await small.bench.run("full")
    assert (job["status"], job["error"]["code"]) == ("failed", "personal_key_missing")
    assert job["error"]["details"] == {"tables": ["person"]}
    assert await small.bench.fetch("SELECT key FROM ingest.source_row") == []


async def test_equal_values_have_equal_codes_and_nobody_is_shown(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAFUSION_SECRET_KEY", SECRET)
    await small.follow()
    jane, again, richard, nobody = await _codes(small)
    assert jane == again != richard
    assert (nobody, str(jane)[:5], str(richard)[:5]) == (None, "hmac:", "hmac:")
    small.execute("UPDATE dbo.person SET full_name = 'DOE JANE' WHERE person_id = 3")
    await small.follow()
    ((_, told),) = await small.bench.said(["cdc."])
    assert (told["before"]["full_name"], told["after"]["full_name"]) == (richard, jane)
    assert "DOE" not in json.dumps(told)
    verified = await small.bench.run("verify")
    assert verified["result"]["holds"], verified


async def test_another_secret_makes_all_codes_anew(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await _codes(small)
    monkeypatch.setenv("TERRAFUSION_SECRET_KEY", SECRET + ".")
    await small.follow()
    *same, nobody = await _codes(small)
    assert (len(same), len(set(same)), nobody) == (3, 1, None)
    assert same[0] not in before
