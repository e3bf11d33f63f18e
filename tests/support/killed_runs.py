"""A pair whose runs are killed, and a twin on the same source whose runs are not: they must not differ in anything."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, Literal
from uuid import UUID, uuid5

import psycopg
from psycopg.rows import dict_row

from tests.support import servers
from tests.support.ingest_platform import ENDED, IngestPlatform, ingest_platform
from tests.support.killed_ingest import Point, counted
from tests.support.processes import wait_until
from tests.support.replica import Replica
from tests.support.small_source import COUNTY, NO_BRAKE, PAIR, Small, small_pair, small_source
from tests.support.source_writers import DDL, RandomWriters

Reader = Literal["hash_diff", "rowversion", "timestamp", "mixed"]
KEY_HEADER = "debezium-key"
_MARKS = {"rowversion": "tsRowVersion", "timestamp": "changed_at"}
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
        "checks": [{"rule": "sale_parcel_unknown", "column": "lot_id", "references": "lot.lot_id"}],
    },
    {"name": "label", "key": ["label_cd"], "columns": {"label_cd": "text", "meaning": "text", "set_at": "timestamp"}},
    {
        "name": "entry",
        "key": ["entry_no"],
        "columns": {"entry_no": "integer", "lot_id": "integer", "amount": "decimal", "note": "text"},
        "links": _LINK,
        "checks": [{"rule": "value_negative", "column": "amount", "minimum": 0}],
    },
)
_MIXED = {"lot": "rowversion", "charge": "timestamp"}

#: what must be equal, and which columns are of a clock or of how far chunks reached in the time that they had
_COMPARED = {
    "ingest.source_row": ("range_number", "updated_at", "seen_at"),
    "ingest.row_before": ("range_number",),
    "ingest.quarantine": ("first_seen_at", "last_seen_at"),
    "ingest.parcel_v1": ("updated_at",),
    "ingest.owner_v1": ("updated_at",),
    "ingest.sale_v1": ("updated_at",),
    "ingest.neighborhood_v1": ("updated_at",),
    "ingest.sync_table": ("verified_through", "token_at", "token"),
    "ingest.sync_pair": (
        "last_synchronized_at", "fence", "lease_owner", "lease_expires_at", "failures", "retry_at",
    ),
    "ingest.sync_operation": (
        "finished_at", "started_at", "details", "rows_read", "rows_unchanged", "rows_quarantined", "certificate_id",
    ),
}  # fmt: skip
#: times, and how often rows were read, are of each process; the rest of an event is not
_OF_A_PROCESS = {
    "occurred_at",
    "ts_ms",
    "ts_us",
    "ts_ns",
    "rows_read",
    "rows_unchanged",
    "rows_quarantined",
    "version_token",
    "certificate_id",
}


def killed_pair(reader: Reader, **following: Any) -> dict[str, Any]:
    """The mapping of what `RandomWriters` write, by a reader or by several."""
    tables = []
    for table in _TABLES:
        chosen = _MIXED.get(table["name"], "hash_diff") if reader == "mixed" else reader
        marked = {"changed_column": _MARKS[chosen]} if chosen in _MARKS else {}
        tables.append({**table, "reader": chosen, **marked})
    return small_pair(*tables, following=NO_BRAKE | following, snapshot_events=True)


@dataclass
class KilledPair:
    """A source that is written at random, the platform that follows it, and the twin."""

    small: Small
    writers: RandomWriters
    platform: IngestPlatform
    random: Random
    killed: Counter[str] = field(default_factory=Counter)
    statements: int = 50
    blocks: int = 10
    seconds: float = 2.0
    rounds: int = 0

    def write(self, most: int = 60) -> None:
        """Some of what writers do."""
        for _ in range(self.random.randint(0, most)):
            self.writers.act()

    def next_job(self) -> UUID:
        self.rounds += 1
        return uuid5(UUID(int=self.writers.seed), str(self.rounds))

    async def run_twin(self, job_id: UUID, mode: str) -> None:
        """The twin's run, which also tells how many points there are to be killed at."""
        with counted() as counting:
            requested = await self.small.bench.request(mode, job_id=job_id)
            begun = monotonic()
            done = await self.small.bench.receive(requested)
        assert done["status"] == "succeeded", done["error"]
        self.seconds = monotonic() - begun
        self.statements, self.blocks = counting.counts["statement"], counting.counts["block"]

    def run_killed(self, job_id: UUID, mode: str, *, kills: int, meanwhile: Callable[[], None] = lambda: None) -> int:
        """The same run with at most so many workers dead on its way; answers how many."""
        self.platform.submit(job_id, pair=PAIR, mode=mode)
        before = self.killed.total()
        while self.killed.total() - before < kills and self.platform.job(job_id)["status"] not in ENDED:
            self._kill_once(job_id)
            meanwhile()
        self.platform.start_worker()
        try:
            ended = self.platform.wait_for(job_id)
        finally:
            self.platform.kill_worker()
        assert ended["status"] == "succeeded", ended["error"]
        return self.killed.total() - before

    def _kill_once(self, job_id: UUID) -> None:
        point = self._point()
        attempt = self.platform.job(job_id)["attempt"]
        self.platform.start_worker(point=point)
        if point is None:
            self._kill_after_a_while(job_id, attempt)
            return
        wait_until(
            lambda: self.platform.is_worker_gone() or self.platform.job(job_id)["status"] in ENDED,
            f"a worker has died at {point} or ended its job",
            wait_seconds=90,
        )
        self.killed[f"{point.when} a {point.of}"] += self.platform.is_worker_gone()
        self.platform.kill_worker()

    def _kill_after_a_while(self, job_id: UUID, attempt: int) -> None:
        """At any moment of the time that the run takes."""
        wait_until(
            lambda: self.platform.job(job_id)["attempt"] > attempt or self.platform.job(job_id)["status"] in ENDED,
            "a worker has the job",
        )
        sleep(self.random.uniform(0, 1.2 * self.seconds))  # the moment is what is drawn, nothing is waited for
        self.killed["at a moment"] += self.platform.job(job_id)["status"] not in ENDED
        self.platform.kill_worker()

    def _point(self) -> Point | None:
        of: Literal["statement", "block"] = "block" if self.random.random() < 0.2 else "statement"
        most = self.blocks if of == "block" else self.statements
        if self.random.random() < 0.3 or not most:
            return None
        when: Literal["before", "after"] = self.random.choice(("before", "after"))
        return Point(of=of, number=self.random.randint(1, most), when=when)

    async def assert_twins(self) -> None:
        """Nothing tells which of the two was killed: tables, record, quarantine, tokens, and what subscribers hear."""
        self.platform.settle()
        for table, left_out in _COMPARED.items():
            mine, twin = (
                _rows(url, f"SELECT * FROM {table}", left_out) for url in (self.platform.postgres.url, self._twin_url)
            )
            differing = [row for row in mine if row not in twin], [row for row in twin if row not in mine]
            assert mine == twin, f"{table}: {len(differing[0])} such as {differing[0][:2]}, not {differing[1][:2]}"
        tokens = "SELECT source_table, token FROM ingest.sync_table WHERE reader <> 'timestamp'"  # that one is a clock
        mine, twin = (_rows(url, tokens) for url in (self.platform.postgres.url, self._twin_url))
        assert mine == twin, f"tokens: {mine}, not {twin}"
        self._assert_certified()
        await self._assert_heard()

    @property
    def _twin_url(self) -> str:
        return self.small.bench.database.url

    async def _assert_heard(self) -> None:
        said = {
            str(row["id"]): (row["subject"], _steady(row["body"]))
            for row in _rows(self._twin_url, "SELECT id, subject, body FROM chassis.outbox")
            if not row["subject"].startswith(("job.", "dlq."))
        }
        heard = await self.platform.heard()
        assert len(heard) == len({message.id for message in heard})
        found = {message.id: (message.subject, _steady(message.body)) for message in heard}
        surplus = [found[name] for name in found.keys() - said.keys()]
        missing = [said[name] for name in said.keys() - found.keys()]
        assert not surplus, f"told, but not by the twin: {len(surplus)}, such as {surplus[:3]}"
        assert not missing, f"told by the twin alone: {len(missing)}, such as {missing[:3]}"
        differing = [(found[name], said[name]) for name in found if found[name] != said[name]]
        assert not differing, f"told otherwise: {len(differing)}, such as {differing[:2]}"

    async def assert_followed(self) -> None:
        """What is landed is what writers have committed, and envelopes tell exactly that; no certificate is red."""
        self.platform.settle()
        self._assert_certified()
        replica = Replica()
        for message in await self.platform.heard():
            if message.stream == "CHANGES":
                replica.take(message.body, key=message.headers[KEY_HEADER])
        assert replica.faults == []
        for table in self.small.pair.tables:
            landed = self.landed(table.name)
            assert replica.of(table.name) == landed, table.name
            query = "SELECT DISTINCT key FROM ingest.quarantine WHERE source_table = %s"
            held = {row["key"] for row in self.platform.rows(query, table.name)}
            source = self.small.expected(table)
            if not held:
                assert landed == source, table.name
            lost = [
                row
                for row in source
                if row not in landed and "/".join(str(row[name]) for name in table.key) not in held
            ]
            assert not lost, f"{table.name}: neither landed nor quarantined: {lost}"
            assert len(landed) <= len(source), table.name

    def _assert_certified(self) -> None:
        """Every certificate holds."""
        red = self.platform.rows("SELECT document FROM ingest.certificate WHERE NOT holds")
        assert not red, [(row["document"]["mode"], row["document"]["tables"]) for row in red]

    def landed(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table as they are landed."""
        query = "SELECT image FROM ingest.source_row WHERE source_table = %s AND NOT is_filtered"
        images = [json.loads(row["image"]) for row in self.platform.rows(query, table)]
        return sorted(images, key=lambda image: json.dumps(image, sort_keys=True, default=str))

    def certify(self) -> None:
        """A complete comparison of source, landed rows and record, by the platform itself."""
        job_id = self.platform.submit(self.next_job(), pair=PAIR, mode="verify")
        self.platform.start_worker()
        try:
            assert self.platform.wait_for(job_id)["status"] == "succeeded"
        finally:
            self.platform.kill_worker()
        query = "SELECT holds, document FROM ingest.certificate WHERE operation_id = %s"
        (issued,) = self.platform.rows(query, job_id)
        assert issued["holds"], issued["document"]


def _rows(url: str, query: str, left_out: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """All rows of a query without some columns, in an order."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = connection.execute(query.encode()).fetchall()
    shown = [{name: value for name, value in row.items() if name not in left_out} for row in found]
    return sorted(shown, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _steady(body: Any) -> Any:
    """A body without what is of one process alone."""
    if isinstance(body, str):
        body = json.loads(body) if body else None
    if isinstance(body, dict):
        return {name: _steady(value) if isinstance(value, dict) else value
                for name, value in body.items() if name not in _OF_A_PROCESS}  # fmt: skip
    return body


@asynccontextmanager
async def killed_pair_platform(
    server: servers.DatabaseServer, template: str, folder: Path, *, pair: dict[str, Any], seed: int, rows: int = 120,
    through: Callable[[str], str] = str, **more: Any,
) -> AsyncIterator[KilledPair]:  # fmt: skip
    """A source with rows in it, a platform without workers, and a twin; nothing is read yet."""
    with servers.database(server, template=template) as (_, twin_url):
        async with small_source(server, twin_url, folder, ddl=DDL, pair=pair, through=through) as small:
            writers = RandomWriters(small.url, seed)
            writers.fill(rows)
            try:
                async with ingest_platform(COUNTY, small.folder, **more) as platform:
                    yield KilledPair(small, writers, platform, Random(seed))
            except BaseException as error:
                error.add_note(str(writers))
                raise
            finally:
                writers.close()
