"""Two annual rolls of a real city, one after the other: every key new, gone or changed is told of once, none guessed.

What is expected comes of the two files by the `csv` module alone.
"""

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis.database import Database
from tests.support.shared_data import shared_data
from tests.support.sync_jobs import SyncBench

Key = tuple[str, str]
Values = tuple[Any, ...]


def text(value: str) -> str | None:
    return value.rstrip() or None


def number(value: str) -> Decimal | None:
    return Decimal(value) if value else None


def number_but_zero(value: str) -> Decimal | None:
    return number(value) or None


def year(value: str) -> Decimal | None:
    return None if value == "1389" else number_but_zero(value)


def day(value: str) -> str | None:
    found = datetime.strptime(value.split(" ", maxsplit=1)[0], "%m/%d/%Y").date().isoformat() if value else None  # noqa: DTZ007
    return None if found == "1900-01-01" else found


COLUMNS: dict[str, Callable[[str], Any]] = {
    "UseCode": text,
    "UseDescription": text,
    "LandArea": number_but_zero,
    "TotalAppraisedLandValue": number,
    "TotalAppraisedImprovements": number,
    "TotalAppraisedParcelValue": number,
    "BookPage": lambda value: None if value == "/" else text(value),
    "GrossArea": number,
    "SaleDate": day,
    "StyleDesc": text,
    "Occupancy": text,
    "AYBYrBuilt": year,
    "BldgStories": number,
}


@dataclass
class Roll:
    """What a file says of every key."""

    rows: dict[Key, list[Values]]

    @property
    def keys(self) -> set[Key]:
        return set(self.rows)

    @property
    def shared(self) -> set[Key]:
        """Keys that several rows have."""
        return {key for key, rows in self.rows.items() if len(rows) > 1}

    @property
    def surplus_rows(self) -> int:
        return sum(len(self.rows[key]) for key in self.shared)


def read_roll(path: Path) -> Roll:
    rows = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = tuple(read(row[name]) for name, read in COLUMNS.items())
            rows[row["ML"], row["Location"]].append(values)
    return Roll(dict(rows))


@pytest.fixture(scope="module")
def rolls() -> tuple[Roll, Roll]:
    folder = shared_data("cambridge_ma")
    return read_roll(folder / "tax_fy2013.csv"), read_roll(folder / "tax_fy2014.csv")


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cambridge")
    shutil.copyfile(shared_data("cambridge_ma") / "tax_fy2013.csv", folder / "tax_roll.csv")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(database_url: str, delivery: Path) -> AsyncIterator[SyncBench]:
    database = Database(database_url, service="ingest")
    await database.open()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TERRAFUSION_SOURCE_CAMBRIDGE_MA_ROLL_URL", delivery.as_uri())
        yield SyncBench(database, "cambridge_ma", "cambridge_ma_roll", storage=f"file://{delivery}/storage")
    await database.close()


async def succeed(bench: SyncBench, mode: str) -> dict[str, Any]:
    job = await bench.run(mode)
    assert job["status"] == "succeeded", job["error"]
    counts: dict[str, Any] = job["result"]["tables"]["roll"]
    return counts


async def quarantined(bench: SyncBench) -> set[Key]:
    rows = await bench.fetch("SELECT key, rule FROM ingest.quarantine_v1 WHERE source_table = 'roll'")
    assert {row["rule"] for row in rows} == {"key_repeated"}
    return {key_of(row["key"]) for row in rows}


def key_of(spelled: str) -> Key:
    lot, _, address = spelled.partition("/")
    return lot, address.replace("%2F", "/").replace("%25", "%")


def parcel_id(key: Key) -> str:
    return ":".join(key)


async def parcels(bench: SyncBench) -> dict[str, Decimal | None]:
    rows = await bench.fetch("SELECT parcel_id, total_value_usd FROM ingest.parcel_v1 WHERE is_active")
    return {row["parcel_id"]: row["total_value_usd"] for row in rows}


TOTAL = list(COLUMNS).index("TotalAppraisedParcelValue")


def expected_parcels(roll: Roll) -> dict[str, Decimal | None]:
    return {parcel_id(key): roll.rows[key][0][TOTAL] for key in roll.keys - roll.shared}


def test_the_two_files_differ_as_is_known_of_them(rolls: tuple[Roll, Roll]) -> None:
    before, after = rolls
    assert (len(before.keys), len(after.keys)) == (27_351, 27_458)
    assert (len(after.keys - before.keys), len(before.keys - after.keys)) == (278, 171)
    assert (len(before.shared), len(after.shared), len(before.shared - after.shared)) == (58, 55, 3)
    assert not (after.shared - before.shared)
    both = (before.keys & after.keys) - before.shared - after.shared
    values = [(before.rows[key][0], after.rows[key][0]) for key in both]
    assert (len(both), sum(old != new for old, new in values)) == (27_122, 26_394)
    assert sum(old[TOTAL] != new[TOTAL] for old, new in values) == 24_036


async def test_the_first_roll_is_loaded_and_rows_that_share_a_key_are_held_back(
    bench: SyncBench, rolls: tuple[Roll, Roll]
) -> None:
    before, _ = rolls
    counts = await succeed(bench, "full")
    assert (counts["rows_read"], counts["rows_quarantined"]) == (27_424, before.surplus_rows)
    assert counts["rows_filtered"] == 0
    assert await quarantined(bench) == before.shared
    assert await parcels(bench) == expected_parcels(before)


async def test_the_second_roll_is_told_of_key_by_key(
    bench: SyncBench, delivery: Path, rolls: tuple[Roll, Roll]
) -> None:
    before, after = rolls
    await bench.forget()
    held = await quarantined(bench)
    shutil.copyfile(shared_data("cambridge_ma") / "tax_fy2014.csv", delivery / "tax_roll.csv")
    counts = await succeed(bench, "incremental")
    assert (counts["rows_read"], counts["rows_quarantined"]) == (27_528, after.surplus_rows)

    said = await bench.said(("parcel.",))
    times = Counter(body["parcel_id"] for _, body in said)
    assert set(times.values()) == {1}  # one event each
    appeared = {body["parcel_id"] for subject, body in said if ".changed." in subject and body["before"] is None}
    changed = {body["parcel_id"] for subject, body in said if ".changed." in subject and body["before"] is not None}
    removed = {body["parcel_id"] for subject, body in said if ".removed." in subject}

    released = held - await quarantined(bench)
    assert released == before.shared - after.shared
    both = (before.keys & after.keys) - before.shared - after.shared
    assert appeared - {parcel_id(key) for key in released} == {parcel_id(key) for key in after.keys - before.keys}
    assert {parcel_id(key) for key in released} <= appeared  # in the record from now on, and known of before
    assert removed == {parcel_id(key) for key in before.keys - after.keys}
    assert changed == {parcel_id(key) for key in both if before.rows[key] != after.rows[key]}
    assert await quarantined(bench) == after.shared
    assert await parcels(bench) == expected_parcels(after)


async def test_the_same_roll_again_says_nothing(bench: SyncBench) -> None:
    await bench.forget()
    await succeed(bench, "incremental")
    assert await bench.said(("parcel.", "cdc.")) == []
