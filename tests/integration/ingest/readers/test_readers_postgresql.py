"""Readers over a real server: open transactions, random writers, collated keys, many idle tables, PACS' own notes."""

import random
import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from contracts.mapping import Pair
from services.ingest.readers import hints
from services.ingest.readers.choosing import choose
from services.ingest.readers.chunk import ChunkSize
from services.ingest.readers.idle import changed_tables
from services.ingest.readers.reading import Mode
from services.ingest.sources.opening import open_source
from services.ingest.synthetic.shape import CREATE_ROWVERSION
from tests.support import servers
from tests.support.landing_model import Landing
from tests.support.pacs_source import PacsSource, pacs_source

LOTS = f"""
CREATE SCHEMA dbo;
CREATE TABLE dbo.lot (year numeric(4,0), part varchar(20), id integer, value numeric(14,2),
  changed_at timestamp(3) NOT NULL DEFAULT clock_timestamp(), "tsRowVersion" bytea, PRIMARY KEY (year, part, id));
CREATE TABLE dbo.loose (a integer, b varchar(20), n integer);
{CREATE_ROWVERSION}
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON dbo.lot FOR EACH ROW EXECUTE FUNCTION dbo.stamp_rowversion();
CREATE FUNCTION dbo.note_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.changed_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER note_change BEFORE INSERT OR UPDATE ON dbo.lot FOR EACH ROW EXECUTE FUNCTION dbo.note_change();
"""
PARTS = ("a", "A", "-a", "ä", "ab", "a-b", "", " ", "Z")
READERS = ("hash_diff", "rowversion", "timestamp")


def lots(reader: str) -> Pair:
    columns = {"year": "integer", "part": "text", "id": "integer", "value": "decimal"}
    column = {"timestamp": "changed_at"}.get(reader)
    lot = {"name": "lot", "key": ["year", "part", "id"], "columns": columns, "links": {"parcel_id": "id"}}
    loose = {"name": "loose", "key": ["a", "b"], "columns": {"a": "integer", "b": "text", "n": "integer"}}
    return Pair.model_validate(
        {
            "pair": "benton_lots",
            "connector": "sql",
            "working_year": {"year": 2026},
            "tables": [{**lot, "reader": reader, "changed_column": column}, {**loose, "reader": "hash_diff"}],
            "entities": {"parcel": {"root": "lot", "fields": {"parcel_number": "lot.id"}}},
        }
    )


class Followed:
    """One table of a real source, read by a reader; every pass is a connection of its own."""

    def __init__(self, url: str, pair: Pair, table: str = "lot", *, rows: int = 7) -> None:
        self.url, self.pair, self.table = url, pair, pair.table_by_name[table]
        with open_source(pair, url) as source:
            self.choice = choose(pair, self.table, source.facts(), source.catalog())
        state = self.choice.state(pair, self.table)
        self.landed = Landing(state, chunk=ChunkSize(rows=rows, fewest=rows, most=rows))

    def run(self, *, mode: Mode = "incremental", batches: int | None = None) -> bool:
        with open_source(self.pair, self.url) as source:
            return self.landed.run(source, mode=mode, batches=batches)

    def assert_equal(self) -> None:
        names = ", ".join(f'"{name}"::text' for name in self.table.columns)
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(f"SELECT {names} FROM dbo.{self.table.name}".encode()).fetchall()
        landed = [tuple(row.values()) for row in [*self.landed.landed.rows.values(), *self.landed.landed.keyless]]
        assert sorted(landed, key=repr) == sorted(rows, key=repr)


@pytest.fixture
def url(postgres: servers.DatabaseServer) -> Iterator[str]:
    with servers.database(postgres) as (_, url):
        with psycopg.connect(url) as connection:
            connection.execute(LOTS.encode())
        yield url


def execute(url: str, statement: str, arguments: tuple[Any, ...] = ()) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode(), arguments or None)


FILL = """INSERT INTO dbo.lot SELECT 2025 + n % 2, (ARRAY['a','A','-a','ä','ab','a-b','',' ','Z'])[1 + n % 9], n, n
  FROM generate_series(1, 60) n"""


@pytest.mark.parametrize("reader", READERS)
def test_p01_rows_of_open_transactions_arrive_once_they_are_committed(url: str, reader: str) -> None:
    execute(url, FILL)
    followed = Followed(url, lots(reader))
    assert followed.choice.reader == reader
    followed.run()
    with psycopg.connect(url) as early:
        early.execute("UPDATE dbo.lot SET value = -1.5 WHERE id = 1")
        early.execute("INSERT INTO dbo.lot VALUES (2026, 'new', 99, 1)")
        early.execute("DELETE FROM dbo.lot WHERE id = 2")
        execute(url, "UPDATE dbo.lot SET value = 7.25 WHERE id = 3")
        followed.run()
        followed.run()
        followed.assert_equal()  # what others see
    followed.run()
    followed.assert_equal()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("seed", range(3))
def test_p10_random_writers_and_kills_end_in_an_equal_picture(url: str, reader: str, seed: int) -> None:
    execute(url, FILL)
    chance, followed = random.Random(seed), Followed(url, lots(reader))
    for _ in range(6):
        with psycopg.connect(url) as undecided:
            _write_at_random(undecided, chance, low=1, high=40)
            with psycopg.connect(url) as other:
                _write_at_random(other, chance, low=41, high=90)
            followed.run(batches=chance.randint(1, 6))
            if chance.random() < 0.3:
                undecided.rollback()
        followed.run()
    followed.run()
    followed.assert_equal()
    ranges = followed.landed.landed.ranges
    assert sum(known.digest.rows for known in ranges.values() if known.digest) == len(followed.landed.landed.rows)


def _write_at_random(connection: psycopg.Connection, chance: random.Random, *, low: int, high: int) -> None:
    for _ in range(chance.randint(1, 12)):
        number, year, part = chance.randint(low, high), chance.choice((2025, 2026)), chance.choice(PARTS)
        match chance.randrange(4):
            case 0:
                connection.execute(b"DELETE FROM dbo.lot WHERE id = %s", (number,))
            case 1:
                connection.execute(b"UPDATE dbo.lot SET value = -value - 1 WHERE id = %s", (number,))
            case 2:
                connection.execute(
                    b"INSERT INTO dbo.lot VALUES (%s, %s, %s, 1.10) ON CONFLICT DO NOTHING", (year, part, number)
                )
            case _:  # a key that moves
                connection.execute(
                    b"UPDATE dbo.lot SET part = %s WHERE id = %s AND part = 'a'", (secrets.token_hex(4), number)
                )


def test_p14_rows_without_a_whole_key_are_all_read(url: str) -> None:
    execute(url, "INSERT INTO dbo.loose SELECT n, 'x', n FROM generate_series(1, 30) n")
    execute(url, "INSERT INTO dbo.loose VALUES (NULL, 'x', 1), (NULL, 'x', 1), (1, NULL, 2), (NULL, NULL, 3)")
    followed = Followed(url, lots("hash_diff"), "loose")
    assert not followed.choice.is_ranged
    followed.run()
    assert len(followed.landed.landed.keyless) == 4
    followed.assert_equal()
    execute(url, "DELETE FROM dbo.loose WHERE a IS NULL AND b IS NULL OR n = 4")
    followed.run()
    assert len(followed.landed.landed.keyless) == 3
    followed.assert_equal()


def test_p24_three_hundred_idle_tables_are_one_query(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"idle_{number}" for number in range(300)]
    with psycopg.connect(url) as connection:
        for name in names:
            connection.execute(f"CREATE TABLE dbo.{name} (id integer PRIMARY KEY, note varchar(9))".encode())
            connection.execute(f"INSERT INTO dbo.{name} SELECT n, 'a' FROM generate_series(1, 3) n".encode())
    described = {"key": ["id"], "columns": {"id": "integer", "note": "text"}, "links": {"parcel_id": "id"}}
    pair = lots("hash_diff").model_copy(
        update={
            "tables": tuple(type(lots("hash_diff").tables[0]).model_validate({"name": n, **described}) for n in names)
        }
    )
    landed = {}
    with open_source(pair, url) as source:
        facts, catalog = source.facts(), source.catalog()
        for table in pair.tables:
            state = choose(pair, table, facts, catalog).state(pair, table)
            landed[table.name] = Landing(state, chunk=ChunkSize())
            landed[table.name].run(source)
    execute(url, "UPDATE dbo.idle_7 SET note = 'b' WHERE id = 2")
    states = [landed[name].state for name in names]
    with open_source(pair, url) as source:
        source.catalog()
        asked: list[Any] = []
        rows = source.session.rows  # type: ignore[attr-defined]
        monkeypatch.setattr(source.session, "rows", lambda query: asked.append(query) or rows(query))  # type: ignore[attr-defined]
        assert changed_tables(source, states) == {"idle_7"}
    assert len(asked) == 1


@pytest.fixture(scope="module")
def pacs(postgres: servers.DatabaseServer) -> Iterator[PacsSource]:
    with pacs_source(postgres, parcels=300) as source:
        yield source


PACS_PAIR = Pair.model_validate(
    {
        "pair": "benton_pacs",
        "connector": "pacs",
        "working_year": {"year": 2026},
        "tables": [
            {
                "name": "property_val",
                "key": ["prop_val_yr", "sup_num", "prop_id"],
                "columns": dict.fromkeys(("prop_val_yr", "sup_num", "prop_id", "market"), "integer"),
                "links": {"parcel_id": "prop_id"},
            },
            {"name": "property_use", "key": ["property_use_cd"], "columns": {"property_use_cd": "text"}},
        ],
        "entities": {"parcel": {"root": "property_val", "fields": {"market_value_usd": "property_val.market"}}},
    }
)


def test_hints_name_the_rows_that_were_changed_and_by_whom(pacs: PacsSource) -> None:
    with open_source(PACS_PAIR, pacs.url) as source:
        assert hints.has_change_log(source.catalog())
        before = hints.last_number(source)
        stamps = hints.touched_code_tables(source, {})
    changed = pacs.rows("SELECT prop_val_yr, sup_num, prop_id FROM dbo.property_val ORDER BY 3, 1, 2 LIMIT 2")
    for row, logging in zip(changed, ("on", "off"), strict=True):
        pacs.execute(
            "UPDATE dbo.property_val SET market = market + 1 WHERE (prop_val_yr, sup_num, prop_id) = (%s, %s, %s)",
            tuple(row.values()),
            logging=logging,  # type: ignore[arg-type]
        )
    pacs.execute("UPDATE dbo.property_use SET property_use_desc = 'x' || property_use_desc")
    with open_source(PACS_PAIR, pacs.url) as source:
        found = [hint for hint in hints.read_changes(source, before, overlap=0) if hint.table == "property_val"]
        code_tables = hints.touched_code_tables(source, stamps)
        state = choose(PACS_PAIR, PACS_PAIR.tables[0], source.facts(), source.catalog()).state(
            PACS_PAIR, PACS_PAIR.tables[0]
        )
        rows = [
            row for batch in hints.read_hinted(source, state, found) for block in batch.blocks for row in block.rows()
        ]
    logged = {name: str(value) for name, value in changed[0].items()}
    assert [hint.key for hint in found] == [logged]  # the other was not logged: a hint is no truth
    assert (found[0].operation, found[0].machine) == ("U", "DESK")
    assert found[0].user
    assert set(code_tables) == {"property_use"}
    assert [row[:3] for row in rows] == [tuple(logged.values())]
    order = hints.first_to_read(PACS_PAIR.tables, found, [])
    assert [table.name for table in order] == ["property_val", "property_use"]
    assert hints.first_to_read(PACS_PAIR.tables, [], list(code_tables))[0].name == "property_use"
