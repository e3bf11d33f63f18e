"""Verify on a small source of awkward rows: green on what is untouched, red after every loss, whatever it is."""

import json
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from tests.support import servers
from tests.support.certificates import assert_noticed, draws_of, verified
from tests.support.planted_losses import KINDS, Losses, give_back, keep
from tests.support.seeds import seed_of_this_run
from tests.support.small_source import Small, small_pair, small_source

DDL = """
CREATE TABLE dbo.lot (lot_id integer PRIMARY KEY, year integer NOT NULL, part integer NOT NULL, number varchar(50),
  amount numeric(38, 10), tax numeric(19, 4), note varchar(200), owner varchar(80), kind char(4));
CREATE TABLE dbo.code (code char(4) PRIMARY KEY, name varchar(40));
CREATE TABLE dbo.line (line_id integer, lot_id integer, cost numeric(18, 4), said text, PRIMARY KEY (lot_id, line_id));
CREATE TABLE dbo.loose (number varchar(10), amount numeric(10, 2));
INSERT INTO dbo.code SELECT 'K' || n, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'kind ' || n END
  FROM generate_series(1, 6) n;
INSERT INTO dbo.lot SELECT n, 2024 + n % 3, n % 2, 'L/' || n || CASE WHEN n % 5 = 0 THEN '  ' ELSE '' END,
  CASE WHEN n % 7 = 0 THEN NULL ELSE (n * 1234.5678901234 - 90000) END, n % 11,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'note ' || n % 9 END, CASE WHEN n % 3 > 0 THEN 'Owner ' || n END,
  'K' || 1 + n % 7 FROM generate_series(1, 400) n;
INSERT INTO dbo.line SELECT n % 3, n / 3 + 1, n * 0.25, repeat('word ', n % 4) FROM generate_series(3, 1400) n;
INSERT INTO dbo.loose SELECT (n % 40)::text, n % 20 FROM generate_series(1, 60) n;
INSERT INTO dbo.loose VALUES (NULL, 1), (NULL, 2), ('x', 3), ('x ', 4);
"""
LOT = {
    "name": "lot",
    "key": ["lot_id"],
    "columns": {
        "lot_id": "integer", "year": "integer", "part": "integer", "number": "text", "amount": "decimal",
        "tax": "decimal", "note": "text", "owner": "text", "kind": "text",
    },
    "links": {"parcel_id": "lot_id", "tax_year": "year", "supplement": "part"},
    "where": {"year": [2024, 2025, 2026]},
    "personal": ["owner"],
    "checks": [{"rule": "use_code_unknown", "column": "kind", "references": "code.code"}],
}  # fmt: skip
LINE = {
    "name": "line",
    "key": ["lot_id", "line_id"],
    "columns": {"lot_id": "integer", "line_id": "integer", "cost": "decimal", "said": "text"},
    "links": {"parcel_id": "lot_id"},
    "where": {"line_id": [0, 1]},
    "checks": [{"rule": "value_negative", "column": "cost", "maximum": 340}],
}
CODE = {"name": "code", "key": ["code"], "columns": {"code": "text", "name": "text"}}
LOOSE = {"name": "loose", "key": ["number"], "columns": {"number": "text", "amount": "decimal"}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(
    postgres: servers.DatabaseServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Small]:
    with servers.database(postgres, template=migrated_template) as (_, database_url):
        pair = small_pair(LOT, LINE, CODE, LOOSE, reader="hash_diff", working_year={"year": 2026}, scope="lot")
        folder = tmp_path_factory.mktemp("small")
        async with small_source(postgres, database_url, folder, ddl=DDL, pair=pair) as source:
            await source.follow("full")
            await keep(source.bench)
            yield source


async def certificate(small: Small) -> dict[str, Any]:
    return await verified(small.bench)


async def test_what_is_untouched_holds(small: Small) -> None:
    document = await certificate(small)
    assert (document["failing"], document["unproven"]) == ([], [])
    lot, line, loose = (document["tables"][name] for name in ("lot", "line", "loose"))
    for table in (lot, line, loose):
        assert all(table["source"][name] == table["landed"][name] for name in ("rows", "keys", "contents", "sums"))
    assert (lot["source"]["rows_read"], lot["source"]["rows_quarantined"], lot["source"]["rows"]) == (400, 57, 343)
    assert (line["source"]["rows_filtered"], line["source"]["rows_quarantined"]) == (466, 26)
    assert (loose["source"]["rows_filtered"], loose["source"]["rows_quarantined"]) == (20, 4)
    (row,) = small.rows("SELECT sum(amount) AS found FROM dbo.lot WHERE year = 2025 AND part = 1 AND kind <> 'K7'")
    assert Decimal(lot["landed"]["sums"]["amount"]["2025/1"]) == row["found"]
    assert "Owner" not in json.dumps(document)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"changed_owner", "dropped_sale"}))
async def test_every_loss_turns_it_red(small: Small, kind: str) -> None:
    await assert_noticed(small.bench, small.pair, kind, draws=draws_of(kind))
    assert (await certificate(small))["holds"]


AT_THE_SOURCE = {
    "deleted": ("DELETE FROM dbo.line WHERE (lot_id, line_id) = ({lot}, {line})", "unexplained"),
    "changed": ("UPDATE dbo.line SET cost = -cost WHERE (lot_id, line_id) = ({lot}, {line})", "different"),
    "emptied": ("UPDATE dbo.line SET said = NULL WHERE (lot_id, line_id) = ({lot}, {line})", "different"),
    "moved": ("UPDATE dbo.line SET lot_id = lot_id + 10000 WHERE (lot_id, line_id) = ({lot}, {line})", None),
    "inserted": ("INSERT INTO dbo.line VALUES (0, {lot} + 10000 + {line}, 5, NULL)", None),
    "quarantined": ("UPDATE dbo.line SET cost = 1000 WHERE (lot_id, line_id) = ({lot}, {line})", "unexplained"),
    "left_out": ("UPDATE dbo.line SET line_id = 7 WHERE (lot_id, line_id) = ({lot}, {line})", "unexplained"),
}


@pytest.mark.parametrize("what", sorted(AT_THE_SOURCE))
async def test_what_changed_at_the_source_since_is_named(small: Small, what: str) -> None:
    draws = random.Random(seed := seed_of_this_run("TERRAFUSION_SEED", what))
    statement, expected = AT_THE_SOURCE[what]
    for _ in range(5):
        rows = small.rows("SELECT lot_id, line_id FROM dbo.line WHERE line_id < 2 AND cost < 340 AND said <> ''")
        row = draws.choice(sorted(rows, key=str))
        small.execute(
            "CREATE TABLE dbo.kept AS TABLE dbo.line", statement.format(lot=row["lot_id"], line=row["line_id"])
        )
        try:
            document = await certificate(small)
        finally:
            small.execute("TRUNCATE dbo.line", "INSERT INTO dbo.line TABLE dbo.kept", "DROP TABLE dbo.kept")
        assert not document["holds"], f"{row} was not noticed (seed {seed})"
        if expected is not None:
            key = f"{row['lot_id']}/{row['line_id']}"
            assert document["tables"]["line"]["differences"] == [{"key": key, "what": expected}], seed
    assert (await certificate(small))["holds"]


async def test_a_personal_value_is_compared_and_never_shown(small: Small) -> None:
    before = (await certificate(small))["tables"]["lot"]
    small.execute("CREATE TABLE dbo.kept AS TABLE dbo.lot", "UPDATE dbo.lot SET owner = 'Mortimer' WHERE lot_id = 14")
    try:
        document = await certificate(small)
    finally:
        small.execute("TRUNCATE dbo.lot", "INSERT INTO dbo.lot TABLE dbo.kept", "DROP TABLE dbo.kept")
    assert document["tables"]["lot"]["differences"] == [{"key": "14", "what": "different"}]
    assert document["tables"]["lot"]["landed"] == before["landed"]
    assert "Mortimer" not in json.dumps(document)


async def test_nothing_is_applied(small: Small) -> None:
    before = await stored(small)
    small.execute("CREATE TABLE dbo.kept AS TABLE dbo.line", "DELETE FROM dbo.line WHERE lot_id > 100")
    try:
        assert not (await certificate(small))["holds"]
    finally:
        small.execute("TRUNCATE dbo.line", "INSERT INTO dbo.line TABLE dbo.kept", "DROP TABLE dbo.kept")
    assert await stored(small) == before


async def stored(small: Small) -> dict[str, list[Any]]:
    tables = (
        "source_row",
        "quarantine",
        "parcel",
        "sync_table",
        "sync_range",
        "staged_row",
        "sync_operation",
        "sync_run",
    )
    return {name: await small.bench.fetch(f"SELECT t::text FROM ingest.{name} t ORDER BY 1") for name in tables}


async def test_a_table_that_is_stopped_is_said(small: Small) -> None:
    await small.bench.run("stop", ["code"])
    try:
        document = await certificate(small)
    finally:
        await small.bench.run("resume", ["code"])
    assert document["failing"] == ["code: followed"]


async def test_the_fact_says_what_does_not_hold(small: Small) -> None:
    losses = Losses(small.bench, small.pair, random.Random(3))
    await losses.do("DELETE FROM ingest.source_row WHERE source_table = 'code' AND key = 'K3'")
    try:
        document = await certificate(small)
    finally:
        await give_back(small.bench)
    ((subject, fact),) = await small.bench.said(["sync.certificate_issued"])
    assert (subject, fact["holds"], fact["certificate_id"]) == ("sync.certificate_issued.benton", False, document["id"])
    assert fact["differences"] == document["failing"]
    assert {"code: rows", "code: contents", "lot: quarantine"} <= set(document["failing"])
