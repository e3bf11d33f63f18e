"""Random writers against every reader: the end state equal, every envelope in its place, the certificate true."""

import asyncio
import secrets
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support import servers
from tests.support.imitated_server import Logs, imitate, log_ddl
from tests.support.pacs_record import assert_record_equals
from tests.support.pacs_source import pacs_source, reader_login
from tests.support.pacs_work import work
from tests.support.pair_benches import county_files, pair_bench
from tests.support.replica import Replica
from tests.support.small_source import NO_BRAKE, Small, small_pair, small_source
from tests.support.source_writers import DDL, RandomWriters

ROUNDS, LONG_ROUNDS = 12, 150
READERS = ("hash_diff", "rowversion", "timestamp", "mixed")
LOGS = ("cdc", "change_tracking")
_LINK = {"parcel_id": "lot_id"}
_TABLES: tuple[dict[str, Any], ...] = (
    {
        "name": "lot",
        "key": ["lot_id"],
        "columns": {"lot_id": "integer", "number": "text", "amount": "decimal", "note": "text"},
        "links": _LINK,
    },
    {
        "name": "charge",
        "key": ["lot_id", "charge_cd"],
        "columns": {"lot_id": "integer", "charge_cd": "text", "amount": "decimal", "paid": "boolean", "note": "text"},
        "links": _LINK,
    },
    {
        "name": "label",
        "key": ["label_cd"],
        "columns": {"label_cd": "text", "meaning": "text", "set_at": "timestamp"},
    },
    {
        "name": "entry",
        "key": ["entry_no"],
        "columns": {"entry_no": "integer", "lot_id": "integer", "amount": "decimal", "note": "text"},
        "links": _LINK,
    },
)

Write = Callable[[str, int, int], Awaitable[None]]


def _mapping(reader: str, random: Random) -> dict[str, Any]:
    """Each table by the reader, or each by another one."""
    columns = {"rowversion": "tsRowVersion", "timestamp": "changed_at"}
    tables = []
    for table in _TABLES:
        chosen = random.choice(READERS[:3]) if reader == "mixed" else reader
        if chosen == "change_tracking" and table["name"] == "entry":
            chosen = "hash_diff"  # it has no primary key, which change tracking goes by
        marked = {"changed_column": columns[chosen]} if chosen in columns else {}
        tables.append({**table, "reader": chosen, **marked})
    return small_pair(*tables, following=NO_BRAKE, snapshot_events=True)


@pytest.fixture
def write(postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path) -> Write:
    """Writes at random and follows, by a reader and from a seed, so many rounds long."""

    async def run(reader: str, seed: int, rounds: int) -> None:
        keys = [(table["name"], tuple(table["key"])) for table in _TABLES]
        ddl = DDL + log_ddl(keys) if reader in LOGS else DDL
        pair = _mapping(reader, Random(seed))
        with servers.database(postgres, template=migrated_template) as (_, database_url):
            async with small_source(postgres, database_url, tmp_path, ddl=ddl, pair=pair) as small:
                writers = RandomWriters(small.url, seed, can_truncate=reader not in LOGS)
                writers.fill(60)
                try:
                    await _follow(small, writers, Logs(small.url) if reader in LOGS else None, rounds=rounds)
                except BaseException as error:
                    error.add_note(str(writers))
                    raise
                finally:
                    writers.close()

    return run


async def _follow(small: Small, writers: RandomWriters, logs: Logs | None, *, rounds: int) -> None:
    random, replica = Random(writers.seed), Replica()
    for _ in range(rounds):
        for _ in range(random.randint(0, 40)):
            writers.act()
        if logs is not None:
            logs.disturb(random)
        if random.random() < 0.4:
            await _follow_while_written(small, writers)
        else:
            await small.follow(random.choices(["incremental", "full"], [9, 1])[0])
        await replica.hear(small.bench)
    writers.settle()
    if logs is not None:
        logs.capture(share=None)
    await small.follow()
    await replica.hear(small.bench)
    await _assert_followed(small, writers, replica)


async def _follow_while_written(small: Small, writers: RandomWriters) -> None:
    """A run, and writers that go on all the while in a thread of their own."""
    is_done = threading.Event()

    def write() -> None:
        while not is_done.wait(0.001):
            writers.act(may_lock=False)

    writing = asyncio.create_task(asyncio.to_thread(write))
    try:
        await small.follow()
    finally:
        is_done.set()
        await writing


async def _assert_followed(small: Small, writers: RandomWriters, replica: Replica) -> None:
    await small.assert_equal()
    for table in small.pair.tables:
        assert len(writers.model[table.name]) == len(await small.landed(table.name))
        assert replica.of(table.name) == await small.landed(table.name)
    assert not replica.faults, "\n".join(replica.faults[:40])
    assert (await small.follow())["changes"] == 0
    used = await small.bench.fetch("SELECT source_table, reader FROM ingest.sync_table_v1")
    assert {row["source_table"]: row["reader"] for row in used} == {t.name: t.reader for t in small.pair.tables}
    await small.follow("verify")
    issued = await small.bench.fetch(
        "SELECT operation_id, holds FROM ingest.certificate_v1 ORDER BY sequence DESC, issued_at DESC LIMIT 1"
    )
    assert [tuple(row.values()) for row in issued] == [(small.bench.jobs[-1], True)]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("reader", READERS)
async def test_random_writers_are_followed(write: Write, reader: str, seed: int) -> None:
    await write(reader, seed, ROUNDS)


@pytest.mark.parametrize("moments", ["one", "many"])
@pytest.mark.parametrize("reader", LOGS)
async def test_random_writers_are_followed_by_logs(
    write: Write, monkeypatch: pytest.MonkeyPatch, reader: str, moments: str
) -> None:
    """On an imitation of the logs: it shows the engine's part of them, and nothing of SQL Server's."""
    imitate(monkeypatch, is_moving=moments == "many")
    await write(reader, 3, ROUNDS)


@pytest.mark.parametrize("reader", READERS)
async def test_random_writers_are_followed_where_nothing_is_of_one_moment(
    write: Write, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    """Each statement sees another state of the source, as on a server that allows no snapshots."""
    imitate(monkeypatch, is_moving=True)
    await write(reader, 4, ROUNDS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("moments", ["one", "many"])
@pytest.mark.parametrize("reader", [*READERS, *LOGS])
async def test_random_writers_are_followed_for_long(
    write: Write, monkeypatch: pytest.MonkeyPatch, reader: str, moments: str
) -> None:
    seed = secrets.randbelow(2**32)
    print(f"{reader}, {moments}: seed {seed}")  # noqa: T201  # a soak says what it runs
    imitate(monkeypatch, is_moving=moments == "many")
    await write(reader, seed, LONG_ROUNDS)


@pytest.mark.parametrize("reader", ["hash_diff", "auto"])
async def test_random_work_in_pacs_is_followed(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path: Path, reader: str
) -> None:
    def choose(pair: dict[str, Any]) -> None:
        pair |= {"reader": reader, "following": NO_BRAKE}

    random = Random(17)
    with (
        servers.database(postgres, template=migrated_template) as (_, database_url),
        pacs_source(postgres, seed=17) as source,
        reader_login(source.url) as login,
    ):
        counties = county_files(tmp_path / "counties", "benton", choose)
        async with pair_bench(
            database_url, county="benton", pair="benton_pacs", source_url=login, folder=tmp_path, counties_dir=counties
        ) as bench:
            done: list[str] = []
            for _ in range(ROUNDS):
                job = await bench.run("incremental")
                assert job["status"] == "succeeded", (done, job["error"])
                await assert_record_equals(bench, source)
                done += [work(source, random) for _ in range(random.randint(1, 4))]
