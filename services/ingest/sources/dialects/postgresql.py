"""PostgreSQL, over its own protocol or over ODBC."""

from collections.abc import Sequence
from typing import ClassVar

from services.ingest.sources.dialects.dialect import Column, Dialect, Selection, Sql, joined, names_told
from services.ingest.sources.source import ColumnFacts

_CAST_TYPES = {"character": "bpchar", "character varying": "varchar"}


class PostgresqlDialect(Dialect):
    """Hashes by MD5 over the record's own text, in which quotes are doubled and null is not the empty text."""

    #: settings on which the texts of values depend
    session_settings: ClassVar[dict[str, str]] = {
        "DateStyle": "ISO, YMD",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "standard_conforming_strings": "on",
    }

    def quoted(self, name: str) -> str:
        """In double quotes; psycopg wants a percent sign doubled."""
        safe = name.replace('"', '""')
        return f'"{safe.replace("%", "%%") if self.placeholder == "%s" else safe}"'

    def spelled(self, column: Column) -> str:
        """The server's own text; fixed-width texts lose their padding by the cast, bytes are hexadecimal."""
        if column.facts.type == "bytea":
            return f"encode({column.reference}, 'hex')"
        if column.facts.type == "timestamp with time zone":  # the same moment, whatever the session's zone
            return f"CAST(({column.reference} AT TIME ZONE 'UTC') AS text) || '+00'"
        return f"CAST({column.reference} AS text)"

    def typed(self, facts: ColumnFacts, value: str) -> Sql:
        """A cast to the column's type, without its length: a longer text stays longer, and so compares right."""
        if facts.type == "bytea":
            return Sql(f"decode(CAST({self.placeholder} AS text), 'hex')", (value.removeprefix("0x"),))
        return Sql(f"CAST({self.placeholder} AS {_CAST_TYPES.get(facts.type, facts.type)})", (value,))

    def rows(self, selection: Selection) -> Sql:
        """`OFFSET 0` keeps the server from spelling every value twice."""
        shown = ", ".join(f"v.c{place}" for place in range(len(selection.columns)))
        return Sql(f"SELECT {shown}, {self._hash(selection)} FROM ") + self._values(selection)  # quoted

    def digest(self, ordinal: int, selection: Selection) -> Sql:
        """The halves are read as signed 64-bit numbers."""
        halves = ", ".join(
            f"CAST(coalesce(sum(CAST(CAST('x' || substr(h.hash, {first}, 16) AS bit(64)) AS bigint)), 0) AS text)"
            for first in (1, 17)
        )
        head = (
            f"SELECT '{ordinal}', CAST(count(*) AS text), {halves} FROM (SELECT {self._hash(selection)} AS hash FROM "
        )
        return Sql(head) + self._values(selection) + ") AS h"

    def _values(self, selection: Selection) -> Sql:
        values = ", ".join(f"{self.spelled(column)} AS c{place}" for place, column in enumerate(selection.columns))
        return Sql(f"(SELECT {values} FROM ") + selection.source + selection.where + " OFFSET 0) AS v"

    def _hash(self, selection: Selection) -> str:
        places = {column.name: place for place, column in enumerate(selection.columns)}
        names = sorted(selection.hashed)
        told = names_told(names).replace("'", "''")
        told = told.replace("%", "%%") if self.placeholder == "%s" else told
        values = ", ".join(f"v.c{places[name]}" for name in names)
        return f"md5('{told}' || CAST(ROW({values}) AS text))"

    def _beyond(self, columns: Sequence[Column], key: Sequence[str], outer: str, innermost: str) -> Sql:
        """Rows compare as the tuples that they are, which an index of the key can seek."""
        references = ", ".join(column.reference for column in columns)
        values = joined(", ", (self.typed(column.facts, value) for column, value in zip(columns, key, strict=True)))
        return Sql(f"({references}) {innermost} (") + values + ")"
