"""Change tracking and change data capture: what the server itself has written down.

Tokens are texts of one length, so that they compare as what they stand for.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.sources.dialects.dialect import Selection, Sql
from services.ingest.sources.source import HASH, Marker
from services.ingest.sources.statements import Statements

if TYPE_CHECKING:
    from services.ingest.sources.server import Server

OP, TOKEN, SEQUENCE, TRANSACTION, BEFORE = "@op", "@token", "@sequence", "@transaction", "@before"
_LOG = [OP, TOKEN, SEQUENCE, TRANSACTION]
_BEFORE_IMAGE = "b"
_LSN = "CONVERT(binary(10), ?, 1)"

CAPTURED_COLUMNS = """
SELECT k.column_name FROM cdc.captured_columns AS k JOIN cdc.change_tables AS c ON c.object_id = k.object_id
 WHERE c.capture_instance = CAST(? AS nvarchar(128)) AND k.is_computed = 0
"""


def low_mark(server: "Server", schema: str, table: SourceTable, marker: Marker) -> str | None:
    """The oldest token after which nothing has been cleaned up yet; null: markers in rows are always complete.

    Raises:
        PermanentError: `reader_unsupported` where the table is not in the log, or this login may not see that it is.
    """
    if marker.kind == "change_tracking":
        name = server.dialect.table(schema, table.name)
        version = "CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(CAST(? AS nvarchar(517))))"
        query = Sql(f"SELECT RIGHT(REPLICATE('0', 19) + CAST({version} AS varchar(19)), 19)", (name,))
    elif marker.kind == "cdc":
        lsn = (
            "sys.fn_cdc_decrement_lsn(NULLIF(sys.fn_cdc_get_min_lsn(CAST(? AS nvarchar(128))), 0x00000000000000000000))"
        )
        query = Sql(f"SELECT CONVERT(varchar(22), {lsn}, 1)", (marker.instance or "",))
    else:
        return None
    found = server.session.value(query)
    if found is None:
        raise PermanentError("reader_unsupported", f"{table.name} has no {marker.kind} that this login may read")
    return str(found)


def tracked(
    server: "Server", statements: Statements, table: SourceTable, marker: Marker, *, since: str | None, until: str
) -> Iterator[pl.DataFrame]:
    """Rows that change tracking names, as they are now; one that is gone meanwhile is deleted, and never all null."""
    query = tracked_query(statements, table, since, until)
    for block in server.session.blocks(query, [*table.columns, HASH, *_LOG]):
        is_gone = pl.col(OP) == "d"
        yield block.with_columns(pl.when(~is_gone).then(pl.col(HASH)).alias(HASH))


def tracked_query(statements: Statements, table: SourceTable, since: str | None, until: str) -> Sql:
    """Keys out of the log, all else out of the table if the row is still there."""
    dialect = statements.dialect
    name = dialect.table(statements.schema, table.name)
    keys = [dialect.quoted(column) for column in table.key]
    match = " AND ".join(f"t.{key} = k.{key}" for key in keys)
    columns = tuple(statements.column(table, column, "k" if column in table.key else "t") for column in table.columns)
    version = "RIGHT(REPLICATE('0', 19) + CAST(k.SYS_CHANGE_VERSION AS varchar(19)), 19)"
    op = (
        f"CASE WHEN k.SYS_CHANGE_OPERATION = 'D' OR t.{keys[0]} IS NULL THEN 'd' "
        "WHEN k.SYS_CHANGE_OPERATION = 'I' THEN 'c' ELSE 'u' END"
    )
    source = Sql(f"CHANGETABLE(CHANGES {name}, @since) AS k LEFT JOIN {name} AS t ON {match}")
    selection = Selection(
        columns,
        statements.hashed(table, "row"),
        source,
        where=Sql(" WHERE k.SYS_CHANGE_VERSION <= @until"),
        beside=(op, version, "CAST(NULL AS varchar(1))", version),
    )
    declared = Sql(
        "DECLARE @since bigint = CAST(? AS bigint), @until bigint = CAST(? AS bigint); ", (since or "0", until)
    )
    return declared + dialect.rows(selection) + " ORDER BY k.SYS_CHANGE_VERSION"


def captured(
    server: "Server", statements: Statements, table: SourceTable, marker: Marker, *, since: str | None, until: str
) -> Iterator[pl.DataFrame]:
    """Every change of every row in order, with the row before it."""
    instance = marker.instance or ""
    if not re.fullmatch(r"\w+", instance):
        raise PermanentError("reader_unsupported", f"{table.name} has no capture instance {instance!r}")
    oldest = low_mark(server, statements.schema, table, marker) or ""
    since = max(since or oldest, oldest)
    if since >= until:
        return
    there = {str(row[0]) for row in server.session.rows(Sql(CAPTURED_COLUMNS, (instance,)))}
    query = captured_query(statements, table, instance, there, since=since, until=until)
    held: pl.DataFrame | None = None
    for block in server.session.blocks(query, [*table.columns, HASH, *_LOG]):
        whole = block if held is None else pl.concat([held, block])
        # the image before an update stands right before the one after it: the two stay together
        is_cut = whole[OP][-1] == _BEFORE_IMAGE
        held = whole[-1:] if is_cut else None
        yield with_before(table, whole[:-1] if is_cut else whole)


def captured_query(
    statements: Statements, table: SourceTable, instance: str, there: set[str], *, since: str, until: str
) -> Sql:
    """All changes of an instance; what it does not capture, such as computed columns, is read from the row of now."""
    dialect = statements.dialect
    if missing := [name for name in table.key if name not in there]:
        raise PermanentError("reader_unsupported", f"{instance} captures no {', '.join(missing)} of {table.name}")
    columns = tuple(statements.column(table, name, "k" if name in there else "t") for name in table.columns)
    keys = [dialect.quoted(column) for column in table.key]
    source = Sql(
        f"cdc.{dialect.quoted(f'fn_cdc_get_all_changes_{instance}')}"
        f"(sys.fn_cdc_increment_lsn({_LSN}), {_LSN}, N'all update old') AS k",
        (since, until),
    )
    if any(column.reference.startswith("t.") for column in columns):
        match = " AND ".join(f"t.{key} = k.{key}" for key in keys)
        source += f" LEFT JOIN {dialect.table(statements.schema, table.name)} AS t ON {match}"
    op = "CASE k.[__$operation] WHEN 1 THEN 'd' WHEN 2 THEN 'c' WHEN 3 THEN 'b' ELSE 'u' END"
    lsn, sequence = "CONVERT(varchar(22), k.[__$start_lsn], 1)", "CONVERT(varchar(22), k.[__$seqval], 1)"
    selection = Selection(columns, statements.hashed(table, "row"), source, beside=(op, lsn, sequence, lsn))
    return dialect.rows(selection) + " ORDER BY k.[__$start_lsn], k.[__$seqval], k.[__$operation]"


def with_before(table: SourceTable, block: pl.DataFrame) -> pl.DataFrame:
    """Changes with the row before each as JSON: of an update the image that stands before it, of a deletion itself."""
    image, last = pl.struct(list(table.columns)).struct.json_encode(), pl.all().shift()
    told = block.with_columns(image.alias("@image")).with_columns(last.name.prefix("@last "))
    is_pair = (
        (pl.col(TOKEN) == pl.col(f"@last {TOKEN}"))
        & (pl.col(SEQUENCE) == pl.col(f"@last {SEQUENCE}"))
        & (pl.col(f"@last {OP}") == _BEFORE_IMAGE)
    )
    is_gone = pl.col(OP) == "d"
    before = pl.when(is_gone).then(pl.col("@image")).when(is_pair).then(pl.col("@last @image"))
    return (
        told.with_columns(before.alias(BEFORE), pl.when(~is_gone).then(pl.col(HASH)).alias(HASH))
        .filter(pl.col(OP) != _BEFORE_IMAGE)
        .select(*table.columns, HASH, *_LOG, BEFORE)
    )
