"""A row that the server itself cannot give, and a table that is locked for a while."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from chassis.errors import TransientError
from contracts.following import Following
from contracts.mapping import Pair, SourceTable
from services.ingest.operation.gentle import GentleSource
from services.ingest.operation.pace import Pace
from services.ingest.operation.retries import ATTEMPTS
from services.ingest.sources.opening import open_source
from services.ingest.sources.source import Asked, Bounds
from tests.support import servers

TABLE = SourceTable(name="assessed", key=("id",), columns={"id": "integer", "ratio": "integer"})
PAIR = Pair.model_validate(
    {
        "pair": "benton_pacs",
        "connector": "sql",
        "tables": [{**TABLE.model_dump(mode="json"), "links": {"parcel_id": "id"}}],
        "entities": {"parcel": {"root": "assessed", "fields": {"parcel_number": "assessed.id"}}},
        "working_year": {"year": 2026},
        "following": {"lock_timeout_seconds": 0.1},
    }
)
#: a view stands for a damaged value: it reads well but for two of its rows
SOURCE = """
CREATE SCHEMA dbo;
CREATE TABLE dbo.kept (id int PRIMARY KEY);
INSERT INTO dbo.kept SELECT generate_series(1, 5000);
CREATE VIEW dbo.assessed AS SELECT id, CASE WHEN id IN (77, 4321) THEN 1 / (id - id) ELSE id END AS ratio FROM dbo.kept;
"""


@pytest.fixture(scope="module")
def source_url(postgres: servers.DatabaseServer) -> Iterator[str]:
    with servers.database(postgres) as (_, url):
        with psycopg.connect(url) as connection:
            connection.execute(SOURCE.encode())
        yield url


def gentle(source: object) -> GentleSource:
    pace = Pace(Following(), "UTC", stop=threading.Event(), check=lambda: None)
    return GentleSource(source, county="benton", pair="benton_pacs", pace=pace)  # type: ignore[arg-type]


def test_the_rows_that_the_server_cannot_give_are_named_and_the_others_read(source_url: str) -> None:
    with open_source(PAIR, source_url) as opened:
        source = gentle(opened)
        assert source.is_consistent
        read = [row for block in source.read(TABLE) for row in block["id"].to_list()]
        assert sorted(map(int, read)) == [key for key in range(1, 5001) if key not in {77, 4321}]
        assert sorted(source.take_unreadable("assessed")) == [("4321",), ("77",)]
        halves = [Bounds(None, ("1000",)), Bounds(("1000",), ("2000",)), Bounds(("2000",))]
        digests = source.digests([Asked(TABLE, bounds) for bounds in halves])
        assert [digest and digest.rows for digest in digests] == [None, 1000, None]


def test_one_moments_picture_outlives_a_query_that_failed(source_url: str) -> None:
    with open_source(PAIR, source_url) as opened:
        source = gentle(opened)
        assert source.digests([Asked(TABLE, Bounds(("100",), ("200",)))])
        with psycopg.connect(source_url) as connection:
            connection.execute("INSERT INTO dbo.kept VALUES (6000)")
        assert "6000" not in [row for block in source.read(TABLE) for row in block["id"].to_list()]
        assert source.boundary(TABLE, ("5000",), 1) is None
    with psycopg.connect(source_url) as connection:
        connection.execute("DELETE FROM dbo.kept WHERE id = 6000")


def test_a_lock_that_is_let_go_of_is_waited_for(source_url: str) -> None:
    bounds = Bounds(("100",), ("200",))
    with open_source(PAIR, source_url) as opened, psycopg.connect(source_url) as other:
        source = gentle(opened)
        assert source.now()
        other.execute("LOCK TABLE dbo.kept IN ACCESS EXCLUSIVE MODE")
        waits: list[float] = []

        def let_go(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                other.rollback()

        source.pace.wait = let_go  # type: ignore[method-assign]
        assert sum(block.height for block in source.read(TABLE, bounds=bounds)) == 100
        assert len(waits) == 2


def test_a_lock_that_is_kept_is_told(source_url: str) -> None:
    with open_source(PAIR, source_url) as opened, psycopg.connect(source_url) as other:
        source = gentle(opened)
        assert source.now()
        other.execute("LOCK TABLE dbo.kept IN ACCESS EXCLUSIVE MODE")
        waits: list[float] = []
        source.pace.wait = waits.append  # type: ignore[method-assign]
        with pytest.raises(TransientError) as caught:
            list(source.read(TABLE))
        assert caught.value.code == "source_locked"
        assert len(waits) == ATTEMPTS - 1
