"""The Transact-SQL that a county's server is asked, as text: it parses, binds every value, and is what it should be."""

import re
from collections.abc import Iterator

import polars as pl
import pytest
import sqlglot
from sqlalchemy.engine import make_url
from sqlglot import exp

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.sources import sql_server_facts
from services.ingest.sources.dialects.dialect import Column, Dialect, Sql
from services.ingest.sources.dialects.postgresql import PostgresqlDialect
from services.ingest.sources.dialects.sql_server import SqlServerDialect
from services.ingest.sources.odbc import connection_string
from services.ingest.sources.source import HASH, Asked, Bounds, Catalog, ColumnFacts
from services.ingest.sources.sql_server_logs import CAPTURED_COLUMNS, captured_query, tracked_query, with_before
from services.ingest.sources.sql_source import of_years
from services.ingest.sources.statements import Statements

KINDS = {
    "year": ColumnFacts("numeric", None, 4, 0, is_nullable=False),
    "sup": ColumnFacts("int", is_nullable=False),
    "code": ColumnFacts("varchar", 10, collation="SQL_Latin1_General_CP1_CI_AS", is_nullable=False),
    "price": ColumnFacts("money"),
    "area": ColumnFacts("decimal", None, 18, 4),
    "ratio": ColumnFacts("float"),
    "padded": ColumnFacts("char", 5, collation="Latin1_General_CI_AS"),
    "note": ColumnFacts("ntext"),
    "remark": ColumnFacts("text"),
    "wide": ColumnFacts("nvarchar", None),
    "at": ColumnFacts("datetime"),
    "fine": ColumnFacts("datetime2", None, 27, 7),
    "day": ColumnFacts("date"),
    "flag": ColumnFacts("bit"),
    "photo": ColumnFacts("image"),
    "bytes": ColumnFacts("varbinary", 16),
    "id": ColumnFacts("uniqueidentifier"),
    "stamp": ColumnFacts("rowversion"),
    "it's a ]b[": ColumnFacts("smalldatetime"),
}
CATALOG: Catalog = {"Order [Items]": KINDS}
TABLE = SourceTable(
    name="Order [Items]",
    key=("year", "sup", "code"),
    columns=dict.fromkeys(KINDS, "text"),  # type: ignore[arg-type]
    links={"tax_year": "year"},  # type: ignore[dict-item]
)
KEY = ("2026", "0", "A")


def statements(dialect: Dialect | None = None) -> Statements:
    return Statements(dialect or SqlServerDialect(), "dbo", CATALOG)


def questions() -> Iterator[tuple[str, Sql]]:
    """Every question about a table."""
    ask, bounds = statements(), Bounds(KEY, ("2026", "1", "B"))
    nullable = Statements(SqlServerDialect(), "dbo", {TABLE.name: KINDS | {"sup": ColumnFacts("int")}})
    yield "read", ask.read(TABLE, bounds, (2025, 2026), "row")
    yield "read of keys", ask.read(TABLE, Bounds(), (), "key")
    yield "boundary", ask.key_after(TABLE, KEY, 1000, (2026,))
    yield "boundary above", ask.key_above(TABLE, KEY, ())
    yield "any row", ask.any_row(TABLE, bounds, ())
    yield "keyed", next(ask.keyed(TABLE, ("code",), [("A",), ("B",)], (), "row"))
    yield "keyed by several", next(ask.keyed(TABLE, TABLE.key, [KEY, ("2026", "1", "B")], (2026,), "row"))
    yield "digests", next(ask.digests([Asked(TABLE, bounds), Asked(TABLE, years=(2026,), content="key")]))
    for column, token in (("stamp", "0x00000000000007D1"), ("at", "2026-11-01 01:30:00.003"), ("fine", "2026-11-01")):
        yield f"changed by {column}", ask.changed(TABLE, column, token, token, (2026,))
    keyless = nullable.keyless(TABLE, (2026,))
    assert keyless is not None
    yield "keyless", keyless
    yield "captured", captured_query(ask, TABLE, "dbo_items", set(KINDS) - {"price"}, since="0x00", until="0x01")
    yield "tracked", tracked_query(ask, TABLE, "5", "9")


@pytest.mark.parametrize(
    ("name", "query"), list(questions()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_question_parses_and_binds_each_of_its_values(name: str, query: Sql) -> None:
    # the parser knows no CHANGETABLE; its arguments are those of any function
    text = query.text.replace("CHANGETABLE(CHANGES ", "CHANGETABLE(")
    parsed = [one for one in sqlglot.parse(text, dialect="tsql") if one is not None]
    assert isinstance(parsed[-1], exp.Select | exp.Union)
    placeholders = sum(len(list(one.find_all(exp.Placeholder))) for one in parsed)
    assert placeholders == len(query.parameters) == query.text.count("?")
    assert not any(
        isinstance(node, exp.Insert | exp.Update | exp.Delete | exp.Merge) for one in parsed for node in one.walk()
    )
    assert "NOLOCK" not in query.text
    assert not re.search(r"\b(BINARY_)?CHECKSUM\b", query.text)


@pytest.mark.parametrize(
    "query",
    [CAPTURED_COLUMNS, *(v for n, v in vars(sql_server_facts).items() if n.isupper() and not n.startswith("_"))],
)
def test_every_question_of_the_probe_parses(query: str) -> None:
    assert isinstance(sqlglot.parse_one(query, dialect="tsql"), exp.Select)


def test_no_value_of_a_question_stands_in_its_text() -> None:
    one, other = (
        [statements().read(TABLE, Bounds(key, key), (year,), "row"), statements().key_after(TABLE, key, year, (year,))]
        for key, year in ((KEY, 2026), (("1999", "7", "O'Brien"), 1999))
    )
    assert [query.text for query in one] == [query.text for query in other]
    assert "O'Brien" in other[0].parameters


def test_the_first_column_of_a_key_is_compared_by_itself_so_that_an_index_is_sought() -> None:
    condition = statements().dialect.not_below(statements().key(TABLE), KEY)
    lead, _, rest = condition.text.partition(" AND ")
    assert lead == "t.[year] >= CAST(? AS numeric(4, 0))"
    assert rest == (
        "(t.[year] > CAST(? AS numeric(4, 0)) OR (t.[year] = CAST(? AS numeric(4, 0)) AND "
        "(t.[sup] > CAST(? AS int) OR (t.[sup] = CAST(? AS int) AND t.[code] >= "
        "CAST(CAST(? AS nvarchar(4000)) COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))))))"
    )
    assert condition.parameters == ("2026", "2026", "2026", "0", "0", "A")


@pytest.mark.parametrize(
    ("kind", "spelling"),
    [
        ("price", "CAST(CAST(t.[price] AS decimal(19, 4)) AS varchar(21))"),
        ("area", "CAST(t.[area] AS varchar(41))"),
        ("ratio", "CONVERT(varchar(32), t.[ratio], 3)"),
        ("padded", "CAST(RTRIM(t.[padded]) AS nvarchar(5)) COLLATE Latin1_General_BIN2"),
        ("note", "CAST(t.[note] AS nvarchar(max)) COLLATE Latin1_General_BIN2"),
        ("remark", "CAST(CAST(t.[remark] AS varchar(max)) AS nvarchar(max)) COLLATE Latin1_General_BIN2"),
        ("at", "CONVERT(varchar(23), t.[at], 121)"),
        ("fine", "CONVERT(varchar(27), t.[fine], 121)"),
        ("photo", "CONVERT(varchar(max), CAST(t.[photo] AS varbinary(max)), 2)"),
        ("bytes", "CONVERT(varchar(32), t.[bytes], 2)"),
        ("stamp", "CONVERT(varchar(18), t.[stamp], 1)"),
        ("it's a ]b[", "CONVERT(varchar(19), t.[it's a ]]b[], 120)"),
    ],
)
def test_the_server_spells_values_so_that_no_driver_rounds_them(kind: str, spelling: str) -> None:
    dialect = SqlServerDialect()
    assert dialect.spelled(statements().column(TABLE, kind)) == spelling


@pytest.mark.parametrize(
    ("kind", "value", "typed", "bound"),
    [
        ("at", "2026-11-01 01:30:00.003", "CONVERT(datetime, ?, 126)", "2026-11-01T01:30:00.003"),
        ("fine", "2026-11-01 01:30:00.1234567", "CONVERT(datetime2(7), ?, 126)", "2026-11-01T01:30:00.1234567"),
        ("stamp", "0x00000000000007D1", "CONVERT(binary(8), ?, 1)", "0x00000000000007D1"),
        ("area", "1.5000", "CAST(? AS decimal(18, 4))", "1.5000"),
        ("id", "6F9619FF-8B86-D011-B42D-00C04FC964FF", "CAST(? AS uniqueidentifier)", None),
    ],
)
def test_bounds_have_the_type_of_their_column(kind: str, value: str, typed: str, bound: str | None) -> None:
    found = SqlServerDialect().typed(KINDS[kind], value)
    assert (found.text, found.parameters) == (typed, (bound or value,))


def test_a_collation_that_is_no_name_is_not_written_into_a_query() -> None:
    facts = ColumnFacts("nvarchar", 10, collation="x; DROP TABLE owner")
    assert SqlServerDialect().typed(facts, "a").text == "CAST(? AS nvarchar(4000))"


@pytest.mark.parametrize("dialect", [SqlServerDialect(), PostgresqlDialect(), PostgresqlDialect("%s")])
def test_names_end_where_they_end(dialect: Dialect) -> None:
    for name in ("a]b", 'a"b', "it's", "50%"):
        quoted = dialect.quoted(name)
        closing = quoted[-1]
        inner = quoted[1:-1].replace(closing * 2, "")
        assert closing not in inner


def test_a_hash_is_of_names_lengths_and_values() -> None:
    text = statements().read(TABLE, Bounds(), (), "key").text
    assert 'HASHBYTES(\'MD5\', CAST(N\'["code", "sup", "year"]\' AS nvarchar(max))' in text
    assert text.count("ISNULL(CAST(DATALENGTH(v.c") == 3
    column = Column("code", "t.[code]", KINDS["code"])
    assert statements().dialect.spelled(column) in text


def test_a_log_without_the_key_cannot_be_followed() -> None:
    with pytest.raises(PermanentError, match="captures no code") as refused:
        captured_query(statements(), TABLE, "dbo_items", {"year", "sup"}, since="0x00", until="0x01")
    assert refused.value.code == "reader_unsupported"


def test_what_a_log_does_not_capture_is_read_from_the_row_itself() -> None:
    query = captured_query(statements(), TABLE, "dbo_items", set(KINDS) - {"price"}, since="0x00", until="0x01")
    assert "t.[price]" in query.text
    assert "k.[area]" in query.text
    assert "LEFT JOIN [dbo].[Order [Items]]] AS t ON t.[year] = k.[year]" in query.text
    whole = captured_query(statements(), TABLE, "dbo_items", set(KINDS), since="0x00", until="0x01")
    assert "LEFT JOIN" not in whole.text


SMALL = SourceTable(name="t", key=("id",), columns={"id": "integer", "y": "integer"}, links={"tax_year": "y"})  # type: ignore[dict-item]


def logged(*rows: tuple[str | None, ...]) -> pl.DataFrame:
    names = ["id", "y", HASH, "@op", "@token", "@sequence", "@transaction"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def test_an_update_has_the_image_that_stands_before_it_and_a_deletion_its_own() -> None:
    told = with_before(
        SMALL,
        logged(
            ("1", "2025", "h0", "c", "0x1", "0x1", "0x1"),
            ("1", "2025", "h0", "b", "0x2", "0x1", "0x2"),
            ("1", "2026", "h1", "u", "0x2", "0x1", "0x2"),
            ("1", "2026", "h1", "d", "0x3", "0x1", "0x3"),
        ),
    )
    assert told["@op"].to_list() == ["c", "u", "d"]
    assert told["@before"].to_list() == [None, '{"id":"1","y":"2025"}', '{"id":"1","y":"2026"}']
    assert told[HASH].to_list() == ["h0", "h1", None]


def test_a_row_that_leaves_the_years_that_are_read_is_gone() -> None:
    told = of_years(
        SMALL,
        (2025, 2026),
        logged(
            ("1", "2025", "h", "u", "0x1", "0x1", "0x1"),
            ("2", "2019", "h", "u", "0x1", "0x1", "0x1"),
            ("3", "2019", "h", "c", "0x1", "0x1", "0x1"),
            ("4", None, None, "d", "0x1", "0x1", "0x1"),
        ),
    )
    assert list(zip(told["id"], told["@op"], strict=True)) == [("1", "u"), ("2", "d"), ("4", "d")]


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (
            "mssql+pyodbc://reader:p%3Bw%7D@pacs:1433/pacs_oltp?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes",
            (
                "DRIVER={ODBC Driver 18 for SQL Server};SERVER=pacs,1433;DATABASE=pacs_oltp;UID=reader;PWD={p;w}}};"
                "APP={terrafusion ingest};ApplicationIntent=ReadOnly;Encrypt=yes"
            ),
        ),
        (
            "mssql+pyodbc://reader:x@pacs:1433/p?driver=FreeTDS&TDS_Version=7.3&ApplicationIntent=ReadWrite",
            (
                "DRIVER=FreeTDS;SERVER=pacs;PORT=1433;DATABASE=p;UID=reader;PWD=x;APP={terrafusion ingest};"
                "TDS_Version=7.3;ApplicationIntent=ReadWrite"
            ),
        ),
    ],
)
def test_a_url_becomes_what_the_driver_wants(url: str, wanted: str) -> None:
    assert connection_string(make_url(url), installed=["ODBC Driver 18 for SQL Server", "FreeTDS"]) == wanted


def test_a_driver_that_is_missing_is_named_with_those_that_are_there() -> None:
    url = make_url("mssql+pyodbc://u:secret@h/d?driver=ODBC+Driver+18+for+SQL+Server")
    with pytest.raises(PermanentError) as refused:
        connection_string(url, installed=["FreeTDS"])
    assert (refused.value.code, refused.value.details) == ("odbc_driver_missing", {"installed": ["FreeTDS"]})
    assert "secret" not in refused.value.message
