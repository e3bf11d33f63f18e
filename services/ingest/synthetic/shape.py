"""The source's tables as PostgreSQL definitions, generated from the checked-in shape of the real ones."""

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

SCHEMA = "dbo"

_COLUMN = re.compile(r"^(?P<name>\w+) (?P<type>[a-z]+)(?P<size>\([^)]*\))?(?P<required>!)?$")

#: SQL Server's type to the PostgreSQL type that behaves alike: blank padding, scale and the missing time zone
_TYPES = {
    "bit": "boolean",
    "char": "char",
    "datetime": "timestamp(3) without time zone",
    "int": "integer",
    "money": "numeric(19,4)",
    "numeric": "numeric",
    "nvarchar": "varchar",
    "rowversion": "bytea",
    "smalldatetime": "timestamp(0) without time zone",
    "varbinary": "bytea",
    "varchar": "varchar",
}

#: what a required column holds when a row does not say; the facts name no defaults, so these are neutral
_NEUTRAL = {"boolean": "false", "integer": "0"}

_SITUS_DISPLAY = (
    "trim(coalesce(situs_num || ' ', '') || coalesce(situs_street_prefx || ' ', '')"
    " || coalesce(situs_street || ' ', '') || coalesce(situs_street_sufix, '')"
    " || coalesce(', ' || situs_city, '') || coalesce(' ' || situs_state, '')"
    " || coalesce(' ' || situs_zip, ''))"
)

#: our own formulas for the columns that the server derives
_DERIVED = {
    ("property_val", "imprv_val"): ("numeric(14)", "imprv_hstd_val + imprv_non_hstd_val"),
    ("address", "addr_zip"): ("varchar(10)", "zip || coalesce('-' || cass, '')"),
    ("address", "zip_4_2"): ("varchar(12)", "zip || coalesce(cass, '') || coalesce(delivery_point, '')"),
    ("situs", "situs_display"): ("varchar(173)", _SITUS_DISPLAY),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the real server declares it; `size` keeps its parentheses."""

    name: str
    type: str
    size: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source."""

    name: str
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    columns: tuple[Column, ...]

    @property
    def has_rowversion(self) -> bool:
        """Whether the server stamps every write of a row."""
        return any(column.type == "rowversion" for column in self.columns)


@lru_cache(maxsize=1)
def read_shape() -> dict[str, Table]:
    """The source's tables by name, in the order in which they are filled."""
    text = (files(__package__) / "source_shape.yaml").read_text(encoding="utf-8")
    return {
        name: Table(
            name=name,
            key=tuple(facts["key"]),
            unique=tuple(tuple(names) for names in facts.get("unique", ())),
            columns=tuple(_read_column(line) for line in facts["columns"].split("; ")),
        )
        for name, facts in yaml.safe_load(text).items()
    }


def _read_column(line: str) -> Column:
    match = _COLUMN.match(line.strip())
    if match is None:
        raise ValueError(f"source_shape.yaml: not a column: {line!r}")
    return Column(match["name"], match["type"], match["size"] or "", nullable=match["required"] is None)


def quoted(name: str) -> str:
    """An identifier as PostgreSQL wants it: bare in lower case, quoted where the real name has capitals."""
    return name if name == name.lower() else f'"{name}"'


def create_table(table: Table) -> str:
    """The table without its keys, which are cheaper to build once the rows are in."""
    lines = ",\n  ".join(_column_definition(table, column) for column in table.columns)
    return f"CREATE TABLE {SCHEMA}.{table.name} (\n  {lines}\n)"


def create_keys(table: Table) -> list[str]:
    """The primary key and the unique constraints.

    Foreign keys are left out: the planted dirty rows break some, as rows do on servers whose constraints
    are not trusted.
    """
    keys = [f"ALTER TABLE {SCHEMA}.{table.name} ADD PRIMARY KEY ({_names(table.key)})"]
    return keys + [f"ALTER TABLE {SCHEMA}.{table.name} ADD UNIQUE ({_names(u)})" for u in table.unique]


def create_rowversion_stamp(table: Table) -> str:
    """The trigger that stamps a written row, as the server does by itself."""
    return (
        f"CREATE TRIGGER stamp_rowversion BEFORE INSERT OR UPDATE ON {SCHEMA}.{table.name} "
        f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.stamp_rowversion()"
    )


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(quoted(column) for column in columns)


def _column_definition(table: Table, column: Column) -> str:
    derived = _DERIVED.get((table.name, column.name))
    if derived is not None:
        return f"{quoted(column.name)} {derived[0]} GENERATED ALWAYS AS ({derived[1]}) STORED"
    kind = _TYPES[column.type]
    has_size = kind in {"char", "numeric", "varchar"} and column.size != "(max)"
    definition = f"{quoted(column.name)} {kind}{column.size if has_size else ''}"
    if column.nullable:
        return definition
    if column.name in table.key or column.type == "rowversion":
        return f"{definition} NOT NULL"
    neutral = _NEUTRAL.get(kind, "0" if kind == "numeric" else "now()" if "timestamp" in kind else "''")
    return f"{definition} NOT NULL DEFAULT {neutral}"


#: One counter for the database. A writer first locks on the counter's value, so `min_active_rowversion` (as
#: SQL Server's function of that name) knows the lowest stamp that may still be uncommitted: it reads the
#: counter before the locks, so a writer it does not see can only stamp higher.
CREATE_ROWVERSION = """
CREATE SEQUENCE {SCHEMA}.rowversion_counter;
CREATE FUNCTION {SCHEMA}.stamp_rowversion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE counter bigint;
BEGIN
  IF coalesce(current_setting('{SCHEMA}.stamping', true), '') <> txid_current()::text THEN
    SELECT last_value INTO counter FROM {SCHEMA}.rowversion_counter;
    PERFORM pg_advisory_xact_lock_shared(2927, counter::integer);
    PERFORM set_config('{SCHEMA}.stamping', txid_current()::text, true);
  END IF;
  NEW."tsRowVersion" := int8send(nextval('{SCHEMA}.rowversion_counter'));
  RETURN NEW;
END $$;
CREATE FUNCTION {SCHEMA}.min_active_rowversion() RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE counter bigint; locked bigint;
BEGIN
  SELECT last_value INTO counter FROM {SCHEMA}.rowversion_counter;
  SELECT min(objid::bigint) INTO locked FROM pg_locks
   WHERE locktype = 'advisory' AND classid = 2927 AND objsubid = 2 AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
  RETURN int8send(least(coalesce(locked, counter), counter) + 1);
END $$;
""".replace("{SCHEMA}", SCHEMA)
