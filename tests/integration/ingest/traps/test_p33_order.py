"""Rows are put in order by an index alone: a sort of a wide table fills the server's temporary space."""

import os
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.audited_source import AuditedServer, audited_server
from tests.support.small_source import LOTS, MARKS, marked_lots, small_pair

MANY = 30_000
_ORDERED = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)
_COPY = re.compile(r"^COPY \((.*)\) TO STDOUT.*$", re.DOTALL | re.IGNORECASE)


@pytest.fixture(scope="module")
def audited() -> Iterator[AuditedServer]:
    with audited_server() as server:
        yield server


def _plans(small: Any, statements: list[str], *, setting: str = "SELECT 1") -> dict[str, str]:
    """How the server runs each statement that reads the table, by its text."""
    plans = {}
    with psycopg.connect(small.url, autocommit=True) as connection:
        connection.execute(setting.encode())
        for statement in dict.fromkeys(_COPY.sub(r"\1", text) for text in statements):
            if '"lot"' in statement and statement.lstrip().upper().startswith(("SELECT", "WITH")):
                asked = f"EXPLAIN (GENERIC_PLAN) {statement}"
                plans[statement] = "\n".join(row[0] for row in connection.execute(asked.encode()).fetchall())
    return plans


async def test_p33_no_statement_sorts_the_table(follow_small: Any, audited: AuditedServer, reader: str) -> None:
    rows = f"INSERT INTO dbo.lot SELECT n, 'L' || n, n, repeat('x', 100) FROM generate_series(1, {MANY}) n;"
    small = await follow_small(LOTS + MARKS + rows, small_pair(marked_lots(reader)), server=audited)
    await small.follow()
    small.execute("UPDATE dbo.lot SET note = 'new' WHERE lot_id % 9999 = 7", "DELETE FROM dbo.lot WHERE lot_id = 3")
    await small.follow()
    await small.follow("full")
    plans = _plans(small, audited.statements_of(_login(small)))
    assert plans
    sorting = {text: plan for text, plan in plans.items() if "Sort" in plan and "Seq Scan" in plan}
    assert sorting == {}
    ordered = {text: plan for text, plan in plans.items() if _ORDERED.search(text)}
    assert [plan for plan in ordered.values() if "Index" not in plan] == []


async def test_p13_ranges_of_a_time_are_sought_and_not_scanned(follow_small: Any, audited: AuditedServer) -> None:
    """A bound that is handed over as a text, or as another type, makes the server scan the whole table each time."""
    ddl = f"""
    CREATE TABLE dbo.lot (read_at timestamp(3) PRIMARY KEY, lot_id integer, number varchar(50), amount numeric(18,4),
      note text);
    INSERT INTO dbo.lot SELECT timestamp '2026-03-08 00:00:00' + n * interval '3.333 seconds', n, 'L' || n, n,
      NULL FROM generate_series(1, {MANY}) n;
    """
    columns = {"read_at": "timestamp", "lot_id": "integer", "number": "text", "amount": "decimal", "note": "text"}
    table = {**marked_lots("hash_diff"), "key": ["read_at"], "columns": columns}
    small = await follow_small(ddl, small_pair(table), server=audited)
    await small.follow()
    seeking = "SET enable_seqscan = off"  # a range that is half the table is rightly scanned where it can be chosen
    bounded = {
        text: plan
        for text, plan in _plans(small, audited.statements_of(_login(small)), setting=seeking).items()
        if "read_at" in text.partition("FROM")[2] and ">=" in text
    }
    assert bounded
    assert [plan for plan in bounded.values() if "Index Cond" not in plan] == []


def _login(small: Any) -> str:
    return os.environ[f"TERRAFUSION_SOURCE_{small.bench.pair.upper()}_URL"]
