"""What a SQL Server tells of itself to a login that may only read."""

from typing import Any

from chassis.errors import PermanentError
from services.ingest.sources.dialects.dialect import Sql
from services.ingest.sources.sessions import Row, Session
from services.ingest.sources.source import Catalog, ColumnFacts, SourceFacts, TableFacts

_OBJECTS = "FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id"
_OF_SCHEMA = "WHERE s.name = CAST(? AS nvarchar(128)) AND o.type IN ('U', 'V')"

CATALOG = f"""
SELECT o.name, c.name, y.name, c.max_length, c.precision, c.scale, CAST(c.is_nullable AS int),
       CAST(c.is_computed AS int), c.collation_name
  {_OBJECTS} JOIN sys.columns AS c ON c.object_id = o.object_id
  JOIN sys.types AS y ON y.user_type_id =
       CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
 {_OF_SCHEMA} ORDER BY o.name, c.column_id
"""
SERVER = """
SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('Edition') AS nvarchar(128)),
       CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)),
       CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)),
       CONVERT(varchar(34), SYSDATETIMEOFFSET(), 121)
"""
DATABASE = """
SELECT snapshot_isolation_state, CAST(is_read_committed_snapshot_on AS int), compatibility_level
  FROM sys.databases WHERE database_id = DB_ID()
"""
ZONE = "SELECT CURRENT_TIMEZONE()"
STATE = "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE')"
CAN_WRITE = f"""
SELECT MAX(CASE WHEN 1 IN (HAS_PERMS_BY_NAME(p.name, 'OBJECT', 'INSERT'), HAS_PERMS_BY_NAME(p.name, 'OBJECT', 'UPDATE'),
                           HAS_PERMS_BY_NAME(p.name, 'OBJECT', 'DELETE')) THEN 1 ELSE 0 END)
  {_OBJECTS} CROSS APPLY (SELECT QUOTENAME(s.name) + N'.' + QUOTENAME(o.name) AS name) AS p {_OF_SCHEMA}
"""
TRACKING = "SELECT COUNT(*) FROM sys.change_tracking_databases WHERE database_id = DB_ID()"
TRACKED = f"SELECT o.name {_OBJECTS} JOIN sys.change_tracking_tables AS k ON k.object_id = o.object_id {_OF_SCHEMA}"
CAPTURING = "SELECT CAST(is_cdc_enabled AS int) FROM sys.databases WHERE database_id = DB_ID()"
CAPTURED = f"""
SELECT o.name, k.capture_instance, CONVERT(varchar(22), k.start_lsn, 1)
  {_OBJECTS} JOIN cdc.change_tables AS k ON k.source_object_id = o.object_id {_OF_SCHEMA}
 ORDER BY o.name, k.create_date
"""
ROWS = f"""
SELECT o.name, CAST(SUM(p.rows) AS bigint)
  {_OBJECTS} JOIN sys.partitions AS p ON p.object_id = o.object_id AND p.index_id IN (0, 1) {_OF_SCHEMA} GROUP BY o.name
"""
INDEXES = f"""
SELECT o.name, i.index_id, CAST(i.is_primary_key AS int), CAST(i.is_unique AS int), i.type, c.name
  {_OBJECTS} JOIN sys.indexes AS i ON i.object_id = o.object_id
  JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id
  JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id
 {_OF_SCHEMA} AND x.key_ordinal > 0 AND i.is_disabled = 0 AND i.has_filter = 0 AND i.type IN (1, 2)
 ORDER BY o.name, i.index_id, x.key_ordinal
"""
TRIGGERS = f"SELECT o.name, g.name {_OBJECTS} JOIN sys.triggers AS g ON g.parent_id = o.object_id {_OF_SCHEMA}"


def catalog(session: Session, schema: str) -> Catalog:
    """Columns with the type that an alias stands for; lengths in characters."""
    found: Catalog = {}
    for table, column, kind, size, precision, scale, is_nullable, is_computed, collation in session.rows(
        Sql(CATALOG, (schema,))
    ):
        found.setdefault(table, {})[column] = ColumnFacts(
            type="rowversion" if kind == "timestamp" else kind,
            length=_length(kind, size),
            precision=precision or None,
            scale=scale,
            is_nullable=bool(is_nullable),
            is_computed=bool(is_computed),
            collation=collation,
        )
    return found


def _length(kind: str, size: int) -> int | None:
    """Null where the type has none, or no limit."""
    if size < 0 or kind in {"text", "ntext", "image", "xml"}:
        return None
    return size // 2 if kind in {"nchar", "nvarchar", "sysname"} else size


def facts(session: Session, schema: str) -> SourceFacts:
    """Everything that this login may see."""
    version, edition, collation, updateable, now = session.rows(Sql(SERVER))[0]
    isolation = (_seen(session, Sql(DATABASE)) or [(None, None, None)])[0]
    return SourceFacts(
        product="SQL Server",
        version=version,
        edition=edition,
        collation=collation,
        time_zone=_one(session, Sql(ZONE)),
        is_read_only=None if updateable is None else updateable == "READ_ONLY",
        allows_snapshot_isolation=None if isolation[0] is None else isolation[0] == 1,
        reads_committed_snapshot=_truth(isolation[1]),
        has_cdc=_truth(_one(session, Sql(CAPTURING))),
        has_change_tracking=_truth(_one(session, Sql(TRACKING))),
        can_view_state=_truth(_one(session, Sql(STATE))),
        can_write=_truth(_one(session, Sql(CAN_WRITE, (schema,)))),
        tables=_tables(session, schema),
        more={"compatibility_level": isolation[2], "clock_with_offset": now},
    )


def _tables(session: Session, schema: str) -> dict[str, TableFacts]:
    columns = catalog(session, schema)
    of_schema = {
        name: _grouped(_seen(session, Sql(query, (schema,))) or [])
        for name, query in {"rows": ROWS, "indexes": INDEXES, "triggers": TRIGGERS, "instances": CAPTURED}.items()
    }
    tracked = {row[0] for row in _seen(session, Sql(TRACKED, (schema,))) or []}
    found = {}
    for table in columns:
        indexes = _indexes(of_schema["indexes"].get(table, []))
        stamps = [name for name, column in columns[table].items() if column.type == "rowversion"]
        rows = of_schema["rows"].get(table)
        found[table] = TableFacts(
            rows=int(rows[0][0]) if rows else None,
            primary_key=next((names for primary, _, _, names in indexes if primary), ()),
            unique_keys=tuple(names for primary, unique, _, names in indexes if unique and not primary),
            clustered_key=next((names for _, _, clustered, names in indexes if clustered), ()),
            indexes=tuple(names for *_, names in indexes),
            rowversion_column=stamps[0] if stamps else None,
            has_change_tracking=table in tracked,
            capture_instances=tuple(str(row[0]) for row in of_schema["instances"].get(table, [])),
            triggers=tuple(sorted(str(row[0]) for row in of_schema["triggers"].get(table, []))),
        )
    return found


def _indexes(rows: list[Row]) -> list[tuple[bool, bool, bool, tuple[str, ...]]]:
    """Of each index whether it is primary, unique, clustered, and its columns."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return [
        (bool(parts[0][1]), bool(parts[0][2]), parts[0][3] == 1, tuple(str(part[4]) for part in parts))
        for parts in found.values()
    ]


def _grouped(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for table, *rest in rows:
        found.setdefault(table, []).append(tuple(rest))
    return found


def _one(session: Session, query: Sql) -> Any:
    found = _seen(session, query)
    return found[0][0] if found else None


def _seen(session: Session, query: Sql) -> list[Row] | None:
    """Null where the login may not ask, or this version has no such view or function."""
    try:
        return session.rows(query)
    except PermanentError:
        return None


def _truth(value: Any) -> bool | None:
    return None if value is None else bool(value)
