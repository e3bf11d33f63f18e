"""Transact-SQL, from SQL Server 2016 on (before it HASHBYTES takes no more than 8,000 bytes)."""

import re

from services.ingest.sources.dialects.dialect import Column, Dialect, Selection, Sql, names_told
from services.ingest.sources.source import ColumnFacts

_LONGEST = 4_000
_NARROW, _WIDE = {"char", "varchar", "text"}, {"nchar", "nvarchar", "ntext", "sysname", "xml"}
_NEUTRAL = "COLLATE Latin1_General_BIN2"  # texts of columns with different collations do not concatenate

#: types that a cast spells exactly, with the length of the longest text
_BY_CAST = {
    "bit": 1, "tinyint": 3, "smallint": 6, "int": 11, "bigint": 20, "decimal": 41, "numeric": 41,
    "time": 16, "uniqueidentifier": 36,
}  # fmt: skip
#: types that a style of CONVERT spells exactly; `datetime` in its own three digits, whatever the compatibility level
_BY_STYLE = {
    "date": (10, 23), "datetime": (23, 121), "smalldatetime": (19, 120), "datetime2": (27, 121),
    "datetimeoffset": (34, 121), "float": (32, 3), "real": (32, 3), "rowversion": (18, 1),
}  # fmt: skip
_ISO_TYPES = {"datetime", "smalldatetime", "datetime2"}


class SqlServerDialect(Dialect):
    """Hashes by MD5 over UTF-16 texts, each led by its length; null is a dash."""

    def quoted(self, name: str) -> str:
        """In brackets."""
        return f"[{name.replace(']', ']]')}]"

    def spelled(self, column: Column) -> str:
        """The server converts, so that no driver rounds; fixed-width texts lose their padding."""
        reference, kind, length = column.reference, column.facts.type, column.facts.length
        if kind in _NARROW | _WIDE:
            return self._spelled_text(reference, kind, length)
        if kind in _BY_CAST:
            return f"CAST({reference} AS varchar({_BY_CAST[kind]}))"
        if kind in _BY_STYLE:
            return f"CONVERT(varchar({_BY_STYLE[kind][0]}), {reference}, {_BY_STYLE[kind][1]})"
        if kind in {"money", "smallmoney"}:
            return f"CAST(CAST({reference} AS decimal(19, 4)) AS varchar(21))"
        return self._spelled_bytes(reference, kind, length)

    @staticmethod
    def _spelled_bytes(reference: str, kind: str, length: int | None) -> str:
        if kind in {"geometry", "geography"}:
            return f"CONVERT(varchar(max), {reference}.STAsBinary(), 2)"
        if kind == "image" or not length or length > _LONGEST:
            return f"CONVERT(varchar(max), CAST({reference} AS varbinary(max)), 2)"
        return f"CONVERT(varchar({2 * length}), {reference}, 2)"

    @staticmethod
    def _spelled_text(reference: str, kind: str, length: int | None) -> str:
        if kind == "text":
            reference = f"CAST({reference} AS varchar(max))"
        elif kind in {"char", "nchar"}:
            reference = f"RTRIM({reference})"
        size = length if length and length <= _LONGEST and kind not in {"text", "ntext", "xml"} else "max"
        return f"CAST({reference} AS nvarchar({size})) {_NEUTRAL}"

    def typed(self, facts: ColumnFacts, value: str) -> Sql:
        """A cast to the very type of the column, or an index would not be sought."""
        kind, mark = facts.type, self.placeholder
        if kind in _ISO_TYPES:
            return Sql(f"CONVERT({self._sized(facts)}, {mark}, 126)", (value.replace(" ", "T"),))
        if kind == "rowversion":
            return Sql(f"CONVERT(binary(8), {mark}, 1)", (value,))
        if kind in {"binary", "varbinary"}:
            size = facts.length if facts.length and facts.length > 0 else "max"
            return Sql(f"CONVERT({kind if size != 'max' else 'varbinary'}({size}), {mark}, 2)", (value,))
        if kind in _NARROW | _WIDE:
            wide = f"CAST({mark} AS nvarchar({_LONGEST})){self._collated(facts)}"
            return Sql(f"CAST({wide} AS varchar(8000))" if kind in _NARROW else wide, (value,))
        return Sql(f"CAST({mark} AS {self._sized(facts)})", (value,))

    @staticmethod
    def _collated(facts: ColumnFacts) -> str:
        """The column's own collation, which says what is before what, and what code page its texts are in."""
        return f" COLLATE {facts.collation}" if facts.collation and re.fullmatch(r"\w+", facts.collation) else ""

    @staticmethod
    def _sized(facts: ColumnFacts) -> str:
        if facts.type in {"decimal", "numeric"} and facts.precision:
            return f"{facts.type}({facts.precision}, {facts.scale or 0})"
        if facts.type in {"datetime2", "datetimeoffset", "time"}:
            return f"{facts.type}({7 if facts.scale is None else facts.scale})"
        return facts.type

    def rows(self, selection: Selection) -> Sql:
        """Each value is spelled once, for the reader and for the hash."""
        shown = [f"v.c{place}" for place in range(len(selection.columns))]
        shown.append(f"LOWER(CONVERT(char(32), {self._hash(selection)}, 2))")
        head = ", ".join([*shown, *selection.beside])
        return Sql(f"SELECT {head} FROM ") + self._values(selection)

    def digest(self, ordinal: int, selection: Selection) -> Sql:
        """The halves as signed 64-bit numbers, summed where no sum overflows."""
        halves = ", ".join(
            "CAST(ISNULL(SUM(CAST(CAST(SUBSTRING(h.hash, "
            f"{first}, 8) AS bigint) AS decimal(38, 0))), 0) AS varchar(41))"
            for first in (1, 9)
        )
        hashes = f"(SELECT {self._hash(selection)} AS hash FROM "
        head = f"SELECT '{ordinal}', CAST(COUNT_BIG(*) AS varchar(20)), {halves} FROM {hashes}"
        return Sql(head) + self._values(selection) + ") AS h"

    def _values(self, selection: Selection) -> Sql:
        values = ", ".join(f"{self.spelled(column)} AS c{place}" for place, column in enumerate(selection.columns))
        return selection.source + f" CROSS APPLY (SELECT {values}) AS v" + selection.where

    @staticmethod
    def _hash(selection: Selection) -> str:
        places = {column.name: place for place, column in enumerate(selection.columns)}
        names = sorted(selection.hashed)
        told = names_told(names).replace("'", "''")
        parts = [
            f"ISNULL(CAST(DATALENGTH(v.c{places[name]}) AS nvarchar(max)) + N':' + v.c{places[name]}, N'-')"
            for name in names
        ]
        spelling = " + ".join([f"CAST(N'{told}' AS nvarchar(max))", *parts])
        return f"HASHBYTES('MD5', {spelling})"
