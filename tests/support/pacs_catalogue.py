"""The tables of PACS as its own catalogue declares them, as PostgreSQL definitions.

Read from the catalogue and never from a mapping: a mapping's errors would stand in the source as well.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

SCHEMA = "dbo"

#: SQL Server's type to the PostgreSQL type that behaves alike: blank padding, scale, tick and missing time zone
_TYPES = {
    "bit": "boolean",
    "char": "char",
    "datetime": "timestamp(3) without time zone",
    "decimal": "numeric",
    "int": "integer",
    "money": "numeric(19,4)",
    "numeric": "numeric",
    "nvarchar": "varchar",
    "rowversion": "bytea",
    "smalldatetime": "timestamp(0) without time zone",
    "smallint": "smallint",
    "tinyint": "smallint",
    "varchar": "varchar",
}
_SIZED = {"char", "numeric", "varchar"}

#: our own formulas for the columns that the server derives
_DERIVED = {
    ("property_val", "imprv_val"): ("numeric(14)", "imprv_hstd_val + imprv_non_hstd_val"),
    ("address", "addr_zip"): ("varchar(10)", "zip || coalesce('-' || cass, '')"),
    ("address", "zip_4_2"): ("varchar(12)", "zip || coalesce(cass, '') || coalesce(delivery_point, '')"),
    ("situs", "situs_display"): (
        "varchar(173)",
        "trim(coalesce(situs_num || ' ', '') || coalesce(situs_street, '') || coalesce(', ' || situs_city, ''))",
    ),
    ("wash_property_val", "snr_frz_loss_land"): ("numeric(14)", "greatest(snr_land - snr_frz_land_hs, 0)"),
    ("wash_property_val", "snr_frz_loss_imprv"): ("numeric(14)", "greatest(snr_imprv - snr_frz_imprv_hs, 0)"),
}
_IDENTITY = {("change_log", "lChangeID")}

#: the column of the tax year, where a table has layers; property_exemption says its year twice
_YEAR_COLUMNS = ("prop_val_yr", "owner_tax_yr", "exmpt_tax_yr", "year")

_TYPE = re.compile(r"^(?P<name>[a-z]+)(?P<size>\([^)]*\))?$")


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the server declares it; `size` keeps its parentheses."""

    name: str
    type: str
    size: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the server declares it."""

    name: str
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    columns: tuple[Column, ...]
    logs_changes: tuple[str, ...]
    """The operations that its change-log triggers hear: insert, update, delete."""

    @property
    def has_rowversion(self) -> bool:
        return any(column.type == "rowversion" for column in self.columns)

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that a writer gives: not those that the server stamps or derives."""
        return tuple(c.name for c in self.columns if c.type not in {"rowversion", "computed"})

    @property
    def year_columns(self) -> tuple[str, ...]:
        """Where the table has layers: its columns of the tax year, all in the key."""
        return tuple(name for name in _YEAR_COLUMNS if name in self.key) if "sup_num" in self.key else ()


def read_catalogue(path: Path) -> dict[str, Table]:
    """Every table of the catalogue by name."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: _read_table(name, facts) for name, facts in found.items()}


def _read_table(name: str, facts: dict[str, list]) -> Table:  # type: ignore[type-arg]
    columns = []
    for column in facts["columns"]:
        match = _TYPE.match(column["type"])
        assert match is not None, f"{name}.{column['name']}: no type {column['type']!r}"
        columns.append(Column(column["name"], match["name"], match["size"] or "", nullable=column["nullable"]))
    return Table(
        name,
        key=tuple(facts["pk"]),
        unique=tuple(tuple(names) for names in facts["unique"]),
        columns=tuple(columns),
        logs_changes=tuple(facts["changelog_triggers"]),
    )


def quoted(name: str) -> str:
    """An identifier as PostgreSQL wants it."""
    return name if name == name.lower() else f'"{name}"'


def names(columns: tuple[str, ...]) -> str:
    """A list of identifiers."""
    return ", ".join(map(quoted, columns))


def create_table(table: Table) -> str:
    """The table with its keys; a foreign key holds nothing on a server whose constraints are not trusted."""
    lines = [_definition(table, column) for column in table.columns]
    lines += [f"PRIMARY KEY ({names(table.key)})", *(f"UNIQUE ({names(unique)})" for unique in table.unique)]
    return f"CREATE TABLE {SCHEMA}.{table.name} (\n  " + ",\n  ".join(lines) + "\n)"


def _definition(table: Table, column: Column) -> str:
    place = (table.name, column.name)
    if place in _DERIVED:
        kind, formula = _DERIVED[place]
        return f"{quoted(column.name)} {kind} GENERATED ALWAYS AS ({formula}) STORED"
    kind = _TYPES[column.type]
    sized = kind in _SIZED and column.size != "(max)"
    definition = f"{quoted(column.name)} {kind}{column.size if sized else ''}"
    if place in _IDENTITY:
        return f"{definition} NOT NULL GENERATED BY DEFAULT AS IDENTITY"
    if column.nullable:
        return definition
    if column.name in table.key or column.type == "rowversion":
        return f"{definition} NOT NULL"
    return f"{definition} NOT NULL DEFAULT {_neutral(kind)}"


def _neutral(kind: str) -> str:
    """What a required column holds when a row does not say; the catalogue names no defaults."""
    if kind == "boolean":
        return "false"
    if kind in {"integer", "smallint"} or kind.startswith("numeric"):
        return "0"
    return "now()" if kind.startswith("timestamp") else "''"
