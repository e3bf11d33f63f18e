"""PostgreSQL as a source: by its own protocol, and by its ODBC driver."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from chassis.errors import PermanentError, TerraFusionError, TransientError
from services.ingest.sources.opening import open_source
from services.ingest.sources.source import HASH, Marker
from services.ingest.synthetic.shape import CREATE_ROWVERSION
from tests.support import odd_tables as odd
from tests.support import servers
from tests.support.postgis import postgis_server
from tests.support.source_protocol import OddSource, SourceProtocol, odd_pair, whole

ODBC_DRIVER = "PostgreSQL Unicode"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def fill(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE SCHEMA {odd.SCHEMA}".encode())
        connection.execute(CREATE_ROWVERSION.encode())
        for table in odd.ODD_TABLES:
            connection.execute(table.create(quoted, is_sql_server=False).encode())
            marks = ["decode(%s, 'hex')" if kind == "bytes" else "%s" for kind in table.columns.values()]
            insert = f"INSERT INTO {odd.SCHEMA}.{quoted(table.name)} VALUES ({', '.join(marks)})"
            with connection.cursor() as cursor:
                cursor.executemany(insert.encode(), table.rows)
        connection.execute(f'CREATE TABLE {odd.SCHEMA}.stamped (id int PRIMARY KEY, "tsRowVersion" bytea)'.encode())
        connection.execute(
            f"CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON {odd.SCHEMA}.stamped "
            f"FOR EACH ROW EXECUTE FUNCTION {odd.SCHEMA}.stamp_rowversion()".encode()
        )


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[str, str]]:
    """The owner's URL, and that of a login that may only read; the packaged server has a county's collations."""
    with postgis_server() as server, servers.database(server) as (_, url):
        fill(url)
        login, password = f"odd_{secrets.token_hex(4)}", "a;b}=@ä"
        with psycopg.connect(url) as connection:
            role = sql.Identifier(login)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA dbo TO {}").format(role))
            connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA dbo TO {}").format(role))
        reader = make_url(url).set(username=login, password=password)
        yield url, reader.render_as_string(hide_password=False)


@pytest.fixture(scope="module", params=["psycopg", "odbc"])
def odd_source(request: pytest.FixtureRequest, database: tuple[str, str]) -> OddSource:
    owner, reader = database

    def execute(statement: str) -> None:
        with psycopg.connect(owner) as connection:
            connection.execute(statement.encode())

    url = over_odbc(reader) if request.param == "odbc" else reader
    return OddSource(url, execute, quoted)


def over_odbc(url: str) -> str:
    """The same database through the ODBC driver; the test is skipped where it is not installed."""
    pyodbc = pytest.importorskip("pyodbc", reason="no ODBC driver manager: install unixodbc", exc_type=ImportError)
    if ODBC_DRIVER not in pyodbc.drivers():
        pytest.skip(f"the ODBC driver {ODBC_DRIVER} is missing: install odbc-postgresql")
    through = make_url(url).set(drivername="postgresql+pyodbc").update_query_dict({"driver": ODBC_DRIVER})
    return through.render_as_string(hide_password=False)


class TestPostgresqlSource(SourceProtocol):
    """The protocol by both drivers."""


STAMPED = odd.OddTable("stamped", {"id": "integer"}, ("id",), []).mapped
STAMP = Marker("rowversion", "tsRowVersion")


def test_a_stamp_that_was_open_when_another_was_committed_is_not_lost(
    odd_source: OddSource, database: tuple[str, str]
) -> None:
    odd_source.execute("TRUNCATE dbo.stamped; INSERT INTO dbo.stamped (id) VALUES (1)")
    with psycopg.connect(database[0]) as slow:
        slow.execute("INSERT INTO dbo.stamped (id) VALUES (2)")  # stamped first, committed last
        odd_source.execute("INSERT INTO dbo.stamped (id) VALUES (3)")
        with odd_source.open() as source:
            until = source.high_mark(STAMPED, STAMP)
            seen = [row for block in source.changed(STAMPED, STAMP, None, until) for row in block["id"]]
    assert seen == ["1"]
    with odd_source.open() as source:
        later = source.high_mark(STAMPED, STAMP)
        rest = [row for block in source.changed(STAMPED, STAMP, until, later) for row in block["id"]]
        assert source.low_mark(STAMPED, STAMP) is None
    assert sorted(rest) == ["2", "3"]
    assert (len(until), until[:2]) == (18, "0x")


def test_what_is_committed_while_the_source_is_read_is_below_no_mark(odd_source: OddSource) -> None:
    odd_source.execute("TRUNCATE dbo.stamped; INSERT INTO dbo.stamped (id) VALUES (1)")
    with odd_source.open() as source:
        odd_source.execute("INSERT INTO dbo.stamped (id) VALUES (2)")
        until = source.high_mark(STAMPED, STAMP)
        assert whole(source, STAMPED)["id"].to_list() == ["1"]
    with odd_source.open() as source:
        later = source.high_mark(STAMPED, STAMP)
        rest = [row for block in source.changed(STAMPED, STAMP, until, later) for row in block["id"]]
    assert rest == ["2"]


def test_the_probe_sees_stamps_rights_and_isolation(odd_source: OddSource) -> None:
    with odd_source.open() as source:
        facts = source.facts()
        assert source.is_consistent
    assert (facts.product, facts.can_write, facts.has_cdc) == ("PostgreSQL", False, False)
    assert facts.tables["stamped"].rowversion_column == "tsRowVersion"
    assert facts.tables["stamped"].triggers == ("stamp",)
    assert facts.tables["words"].rowversion_column is None


def test_nothing_can_be_written(odd_source: OddSource, database: tuple[str, str]) -> None:
    owner = database[0] if odd_source.url == database[1] else over_odbc(database[0])
    with open_source(odd_pair(), owner) as source, pytest.raises(PermanentError) as refused:
        source.session.run("INSERT INTO dbo.stamped (id) VALUES (99)")  # type: ignore[attr-defined]
    assert refused.value.details["sqlstate"] == "25006"


def test_a_log_that_postgresql_does_not_have_is_refused(odd_source: OddSource) -> None:
    with odd_source.open() as source, pytest.raises(PermanentError) as refused:
        list(source.changed(STAMPED, Marker("cdc", instance="dbo_stamped"), None, "0x00"))
    assert refused.value.code == "reader_unsupported"


def test_a_table_that_may_not_be_read_is_said_so(odd_source: OddSource) -> None:
    odd_source.execute("CREATE TABLE IF NOT EXISTS dbo.secret (id int PRIMARY KEY)")
    secret = odd.OddTable("secret", {"id": "integer"}, ("id",), []).mapped
    with odd_source.open() as source:
        source.catalog()["secret"] = source.catalog()["stamped"]
        with pytest.raises(PermanentError) as refused:
            list(source.read(secret))
    assert refused.value.code == "source_forbidden"


def test_a_lock_is_not_waited_for_longer_than_told(odd_source: OddSource, database: tuple[str, str]) -> None:
    pair = odd_pair()
    short = pair.following.model_copy(update={"lock_timeout_seconds": 0.2})
    with psycopg.connect(database[0]) as blocking:
        blocking.execute("LOCK TABLE dbo.stamped IN ACCESS EXCLUSIVE MODE")
        hurried = pair.model_copy(update={"following": short})
        with open_source(hurried, odd_source.url) as source, pytest.raises(TransientError) as refused:
            whole(source, STAMPED)
    assert refused.value.code == "source_locked"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"password": "wrong"}, "source_login_refused"),
        ({"username": "nobody_of_that_name"}, "source_login_refused"),
        ({"database": "no_such_database"}, "source_missing"),
        ({"port": 1}, "source_unavailable"),
        ({"drivername": "oracle"}, "source_url_invalid"),
    ],
)
@pytest.mark.parametrize("driver", ["psycopg", "odbc"])
def test_what_keeps_from_connecting_is_said_plainly(
    postgres: servers.DatabaseServer, driver: str, change: dict[str, str], code: str
) -> None:
    through = over_odbc(postgres.url) if driver == "odbc" else postgres.url
    url = make_url(through).set(**change)  # type: ignore[arg-type]
    with pytest.raises(TerraFusionError) as refused, open_source(odd_pair(), url.render_as_string(hide_password=False)):
        pass
    assert refused.value.code == code
    assert "wrong" not in refused.value.message


def test_both_drivers_read_the_same(database: tuple[str, str]) -> None:
    with (
        open_source(odd_pair(), database[1]) as plain,
        open_source(odd_pair(), over_odbc(database[1])) as through,
    ):
        assert plain.catalog() == through.catalog()
        assert plain.facts() == through.facts()
        for table in odd.ODD_TABLES:
            here, there = (whole(source, table.mapped).sort(HASH, *table.key) for source in (plain, through))
            assert here.equals(there), table.name
