"""What differs from server to server when rows, digests and keys are asked for."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.ingest.sources.source import ColumnFacts


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL, or a part of it, with the values of its placeholders: texts, which the SQL casts to a type itself."""

    text: str
    parameters: tuple[str, ...] = ()

    def __add__(self, other: "Sql | str") -> "Sql":
        more = Sql(other) if isinstance(other, str) else other
        return Sql(self.text + more.text, self.parameters + more.parameters)


def joined(separator: str, parts: Iterable[Sql]) -> Sql:
    """The parts with the separator between them."""
    listed = list(parts)
    return Sql(separator.join(part.text for part in listed), tuple(p for part in listed for p in part.parameters))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table with the SQL that refers to it."""

    name: str
    reference: str
    facts: ColumnFacts


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns of rows, and which of them the row's hash is made of."""

    columns: tuple[Column, ...]
    hashed: tuple[str, ...]
    source: Sql
    """What stands after `FROM`."""
    where: Sql = Sql("")
    """` WHERE …`, or nothing."""
    beside: tuple[str, ...] = ()
    """Further expressions of texts, shown after the hash."""


class Dialect(ABC):
    """Text that is constant for a table; values stand in it as placeholders only, spelled as the driver wants them."""

    def __init__(self, placeholder: str = "?") -> None:
        self.placeholder = placeholder

    @abstractmethod
    def quoted(self, name: str) -> str:
        """The name as an identifier."""

    @abstractmethod
    def spelled(self, column: Column) -> str:
        """The value as its canonical text, rounded nowhere; the same text is read and hashed."""

    @abstractmethod
    def typed(self, facts: ColumnFacts, value: str) -> Sql:
        """A text that `spelled` gave, as a value of the column's own type."""

    @abstractmethod
    def rows(self, selection: Selection) -> Sql:
        """A query of the columns' texts and, last, the row's hash."""

    @abstractmethod
    def digest(self, ordinal: int, selection: Selection) -> Sql:
        """A query of the ordinal, the number of rows and the sums of the halves of their hashes, as texts."""

    def any_row(self, source: Sql, where: Sql) -> Sql:
        """A query of one row, whose value is null where there is none."""
        return Sql("SELECT CASE WHEN EXISTS (SELECT 1 FROM ") + source + where + ") THEN 1 END"

    def table(self, schema: str, name: str) -> str:
        """The table's name with its schema."""
        return f"{self.quoted(schema)}.{self.quoted(name)}"

    def not_below(self, columns: Sequence[Column], key: Sequence[str]) -> Sql:
        """Whether the columns' values, in their order, are at or above the key's."""
        return self._beyond(columns, key, ">", ">=")

    def below(self, columns: Sequence[Column], key: Sequence[str]) -> Sql:
        """Whether the columns' values, in their order, are below the key's."""
        return self._beyond(columns, key, "<", "<")

    def above(self, columns: Sequence[Column], key: Sequence[str]) -> Sql:
        """Whether the columns' values, in their order, are above the key's."""
        return self._beyond(columns, key, ">", ">")

    def _beyond(self, columns: Sequence[Column], key: Sequence[str], outer: str, innermost: str) -> Sql:
        """The comparison of tuples in AND and OR, led by one of the first column alone that an index can seek."""
        first = columns[0]
        if len(columns) == 1:
            return Sql(f"{first.reference} {innermost} ") + self.typed(first.facts, key[0])
        condition = Sql("")
        for place, (column, value) in enumerate(zip(reversed(columns), reversed(key), strict=True)):
            bound = self.typed(column.facts, value)
            if place == 0:
                condition = Sql(f"{column.reference} {innermost} ") + bound
                continue
            beyond = Sql(f"{column.reference} {outer} ") + bound
            equal = Sql(f"({column.reference} = ") + bound + " AND " + condition + ")"
            condition = Sql("(") + beyond + " OR " + equal + ")"
        lead = Sql(f"{first.reference} {outer}= ") + self.typed(first.facts, key[0])
        return lead + " AND " + condition


def names_told(names: Sequence[str]) -> str:
    """The names of hashed columns in one unambiguous text: a renamed column changes every hash."""
    return json.dumps(list(names), ensure_ascii=False)
