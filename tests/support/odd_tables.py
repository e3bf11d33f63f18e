"""Tables with everything that has broken a reader of legacy databases, in the words of each kind of server."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from contracts.mapping import ColumnType, Link, SourceTable

SCHEMA = "dbo"

_SENSITIVE = " COLLATE Latin1_General_CS_AS"
#: type in PostgreSQL, type in SQL Server, how the mapping reads it
KINDS: dict[str, tuple[str, str, ColumnType]] = {
    "integer": ("integer", "int", ColumnType.INTEGER),
    "year": ("numeric(4,0)", "numeric(4,0)", ColumnType.INTEGER),
    "exact": ("numeric(38,10)", "decimal(38,10)", ColumnType.DECIMAL),
    "money": ("numeric(19,4)", "money", ColumnType.DECIMAL),
    "floating": ("double precision", "float", ColumnType.DECIMAL),
    "truth": ("boolean", "bit", ColumnType.BOOLEAN),
    "padded": ("char(5)", "char(5)", ColumnType.TEXT),
    "word": ('varchar(50) COLLATE "und-x-icu"', f"nvarchar(50){_SENSITIVE}", ColumnType.TEXT),
    "narrow": ("varchar(50)", f"varchar(50){_SENSITIVE}", ColumnType.TEXT),
    "long": ("text", "ntext", ColumnType.TEXT),
    "moment": ("timestamp(3)", "datetime", ColumnType.TIMESTAMP),
    "fine": ("timestamp(6)", "datetime2(7)", ColumnType.TIMESTAMP),
    "day": ("date", "date", ColumnType.DATE),
    "identifier": ("uuid", "uniqueidentifier", ColumnType.TEXT),
    "bytes": ("bytea", "varbinary(300)", ColumnType.GEOMETRY),
}


@dataclass(frozen=True)
class OddTable:
    """A table, its columns with their kinds, its key and its rows; every value is a text, as the source spells it."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    rows: Sequence[tuple[str | None, ...]]
    is_keyed: bool = True
    links: dict[Link, str] = field(default_factory=dict)

    @property
    def mapped(self) -> SourceTable:
        return SourceTable(
            name=self.name,
            key=self.key,
            columns={name: KINDS[kind][2] for name, kind in self.columns.items()},
            links=dict(self.links),
        )

    def create(self, quoted: Callable[[str], str], *, is_sql_server: bool, extra: str = "") -> str:
        """CREATE TABLE with its primary key."""
        kinds = {name: KINDS[kind][1 if is_sql_server else 0] for name, kind in self.columns.items()}
        required = self.key if self.is_keyed else ()
        lines = [f"{quoted(n)} {kind}{' NOT NULL' if n in required else ' NULL'}" for n, kind in kinds.items()]
        if self.is_keyed:
            lines.append(f"PRIMARY KEY ({', '.join(map(quoted, self.key))})")
        return f"CREATE TABLE {SCHEMA}.{quoted(self.name)} ({', '.join(lines)}{extra})"


COLLATED = [
    "a",
    "A",
    "-a",
    "ä",
    "Ä",
    "a-b",
    "ab",
    "aB",
    "z",
    "Z",
    "",
    "1",
    "10",
    "2",
    "ß",
    "ss",
    "é",
    "e",
    "~",
    "%",
    "?",
]

#: names that a careless query breaks on
ODD_NAMES = OddTable(
    "Order Items",
    {"a]b": "word", "select": "integer", "50% off": "integer", "what?": "word", "it's": "word", 'say "x"': "word"},
    ("a]b", "select"),
    [(word, str(n), str(n * 7), word, "%s", None if n else "?") for word, n in product(["x", "y y", "[z]"], range(9))],
)
#: the same in a table whose name is folded nowhere
ODD_SMALL_NAMES = replace(ODD_NAMES, name="odd [items]")
WORDS = OddTable(
    "words", {"word": "word", "place": "integer"}, ("word",), [(w, str(n)) for n, w in enumerate(COLLATED)]
)
LAYERS = OddTable(
    "layers",
    {"prop_val_yr": "year", "sup_num": "integer", "prop_id": "integer", "market": "exact"},
    ("prop_val_yr", "sup_num", "prop_id"),
    [
        (str(y), str(s), str(p), f"{y * p}.{s:010d}")
        for y, s, p in product(range(2023, 2027), (0, 1, 2), range(-3, 14, 2))
    ],
    links={Link.TAX_YEAR: "prop_val_yr"},
)
MOMENTS = OddTable(
    "moments",
    {"at": "moment", "fine": "fine"},
    ("at",),
    [
        ("2026-11-01 01:30:00", "2026-11-01 01:30:00.000001"),
        ("2026-11-01 01:30:00.003", "2026-11-01 01:30:00.000002"),
        ("2026-11-01 01:30:00.007", "2026-11-01 01:30:00.000003"),
        ("2026-11-01 01:30:00.01", "9999-12-31 23:59:59.999999"),
        ("1753-01-01 00:00:00", "0001-01-01 00:00:00"),
        ("9999-12-31 23:59:59.997", "1752-12-31 23:59:59"),
        ("2026-03-08 02:30:00", None),
    ],
)
IDENTIFIERS = OddTable(
    "identifiers",
    {"id": "identifier", "n": "integer"},
    ("id",),
    [(str(uuid.UUID(int=(n * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128)), str(n)) for n in range(1, 120)],
)
PADDED = OddTable(
    "padded", {"code": "padded", "n": "integer"}, ("code",), [(c, "1") for c in ("R", "RR", "C", "MN", "")]
)
_EXTREME = "9" * 28 + "." + "9" * 10
VALUES = OddTable(
    "kinds",
    {
        "id": "integer", "exact": "exact", "money": "money", "floating": "floating", "truth": "truth",
        "padded": "padded", "word": "word", "narrow": "narrow", "long": "long", "day": "day", "bytes": "bytes",
    },
    ("id",),
    [
        ("1", _EXTREME, "922337203685477.5807", "0.1", "1", "R", "ä€", "x", "l" * 20_000, "9999-12-31",
         bytes(range(256)).hex()),
        ("2", f"-{_EXTREME}", "-922337203685477.5808", "-1.7976931348623157e+308", "0", "", "", "", "", "0001-01-01",
         ""),
        ("3", None, None, None, None, None, None, None, None, None, None),
        ("4", "1.5000000000", "1.5000", "2.2250738585072014e-308", "1", "a b", " lead", "trail ", 'a\nb,"c"\\N',
         "1753-01-01", "00"),
        ("5", "-1.5000000000", "-1.5000", "1", "1", "a b", " lead", "trail ", 'a\nb,"c"\\N', "1753-01-01", "00"),
    ],
)  # fmt: skip
#: what a hash must tell apart: values that run together, null and the empty text, values that changed places
RUNS = OddTable(
    "runs",
    {"id": "integer", "a": "word", "b": "word"},
    ("id",),
    [("1", "a", "bc"), ("2", "ab", "c"), ("3", "abc", ""), ("4", "abc", None), ("5", None, "abc"), ("6", "", "abc"),
     ("7", "bc", "a"), ("8", '","', ""), ("9", "", '","'), ("10", "-", None), ("11", None, "-"), ("12", "1:", None)],
)  # fmt: skip
#: no key is kept by the source: nulls, and more rows with one key than a range has
KEYLESS = OddTable(
    "keyless",
    {"a": "integer", "b": "word", "n": "integer"},
    ("a", "b"),
    [
        *[("1", "x", str(n)) for n in range(25)],
        *[("1", "y", str(n)) for n in range(3)],
        *[(str(n), "x", "0") for n in range(2, 9)],
        (None, "x", "1"),
        ("1", None, "2"),
        (None, None, "3"),
    ],
    is_keyed=False,
)
ODD_TABLES = (ODD_NAMES, ODD_SMALL_NAMES, WORDS, LAYERS, MOMENTS, IDENTIFIERS, PADDED, VALUES, RUNS, KEYLESS)


def spelled(table: OddTable, row: Any) -> tuple[str | None, ...]:
    """A row as the table was given it."""
    return tuple(row[name] for name in table.columns)
