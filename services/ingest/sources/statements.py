"""The questions that a source is asked, put together from a dialect's parts: constant for a table but for values."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from chassis.errors import PermanentError
from contracts.mapping import SourceTable
from services.ingest.sources.dialects.dialect import Column, Dialect, Selection, Sql, joined
from services.ingest.sources.source import WHOLE, Asked, Bounds, Catalog, ColumnFacts, Content, Key

_PARAMETERS_OF_A_QUERY = 1_800
_SIZES = (1, 8, 64, 512)
"""How many values one query asks for: few sizes, so that a server sees few texts."""

_INTEGER = ColumnFacts("bigint")


class Statements:
    """Queries of one schema's tables."""

    def __init__(self, dialect: Dialect, schema: str, catalog: Catalog) -> None:
        self.dialect = dialect
        self.schema = schema
        self.catalog = catalog

    def read(self, table: SourceTable, bounds: Bounds, years: tuple[int, ...], content: Content) -> Sql:
        """Rows between the bounds that have a whole key."""
        return self._rows(table, content, [*self._between(table, bounds), *self._of_years(table, years)])

    def keyless(self, table: SourceTable, years: tuple[int, ...]) -> Sql | None:
        """Rows with a null in their key; null: the source allows none."""
        missing = [Sql(f"{column.reference} IS NULL") for column in self.key(table) if column.facts.is_nullable]
        if not missing:
            return None
        return self._rows(table, "row", [Sql("(") + joined(" OR ", missing) + ")", *self._of_years(table, years)])

    def keyed(
        self,
        table: SourceTable,
        names: tuple[str, ...],
        values: Sequence[Key],
        years: tuple[int, ...],
        content: Content,
        *,
        bounds: Bounds = WHOLE,
    ) -> Iterator[Sql]:
        """Rows between the bounds whose columns hold one of the values, in queries of few sizes."""
        further = [*(self._between(table, bounds) if bounds != WHOLE else ()), *self._of_years(table, years)]
        columns = [self.column(table, name) for name in names]
        for pattern, group in groupby(sorted(set(values), key=_nulls), key=_nulls):
            asked = list(group)
            for chunk in _sized(asked, _PARAMETERS_OF_A_QUERY // max(len(names), 1)):
                choice = joined(" OR ", (self._equal(columns, value) for value in chunk))
                if len(columns) == 1 and not any(pattern):
                    choice = Sql(f"{columns[0].reference} IN (") + joined(
                        ", ", (self.dialect.typed(columns[0].facts, value[0] or "") for value in chunk)
                    )
                    choice += ")"
                yield self._rows(table, content, [Sql("(") + choice + ")", *further])

    def changed(self, table: SourceTable, name: str, since: str | None, until: str, years: tuple[int, ...]) -> Sql:
        """Rows whose column has a value from `since` to just below `until`."""
        column = self.column(table, name)
        conditions = [self.dialect.below([column], [until]), *self._of_years(table, years)]
        if since is not None:
            conditions.insert(0, self.dialect.not_below([column], [since]))
        return self._rows(table, "row", conditions)

    def key_after(self, table: SourceTable, after: Key | None, rows: int, years: tuple[int, ...]) -> Sql:
        """The key `rows` places after the first that is not below `after`."""
        where = _where([*self._between(table, Bounds(after, None)), *self._of_years(table, years)])
        place = self.dialect.typed(_INTEGER, str(rows))
        return self._keys(table, where, Sql("OFFSET (") + place + ") ROWS FETCH NEXT 1 ROWS ONLY")

    def key_above(self, table: SourceTable, key: Key, years: tuple[int, ...]) -> Sql:
        """The lowest key above this one."""
        above = self.dialect.above(self.key(table), _whole(table, key))
        where = _where([above, *self._complete(table), *self._of_years(table, years)])
        return self._keys(table, where, Sql("OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY"))

    def any_row(self, table: SourceTable, bounds: Bounds, years: tuple[int, ...]) -> Sql:
        """One row where there is any between the bounds."""
        where = _where([*self._between(table, bounds), *self._of_years(table, years)])
        return self.dialect.any_row(self.source(table), where)

    def digests(self, asked: Sequence[Asked]) -> Iterator[Sql]:
        """One query for as many ranges as a server takes parameters for; almost always one in all."""
        arms: list[Sql] = []
        for ordinal, one in enumerate(asked):
            conditions = [*self._between(one.table, one.bounds), *self._of_years(one.table, one.years)]
            arm = self.dialect.digest(ordinal, self._selection(one.table, one.content, conditions, only_hashed=True))
            if sum(len(a.parameters) for a in [*arms, arm]) > _PARAMETERS_OF_A_QUERY:
                yield joined(" UNION ALL ", arms)
                arms = []
            arms.append(arm)
        if arms:
            yield joined(" UNION ALL ", arms)

    def key(self, table: SourceTable) -> list[Column]:
        """The columns of the table's key."""
        return [self.column(table, name) for name in table.key]

    def column(self, table: SourceTable, name: str, alias: str = "t") -> Column:
        """A column that the catalogue has.

        Raises:
            PermanentError: `mapping_column_missing`.
        """
        facts = self.catalog.get(table.name, {}).get(name)
        if facts is None:
            raise PermanentError("mapping_column_missing", f"the source has no column {table.name}.{name}")
        return Column(name, f"{alias}.{self.dialect.quoted(name)}", facts)

    def hashed(self, table: SourceTable, content: Content) -> tuple[str, ...]:
        """The columns that a row's hash is made of."""
        return table.key if content == "key" else tuple(table.columns)

    def _rows(self, table: SourceTable, content: Content, conditions: list[Sql]) -> Sql:
        return self.dialect.rows(self._selection(table, content, conditions))

    def _selection(
        self, table: SourceTable, content: Content, conditions: list[Sql], *, only_hashed: bool = False
    ) -> Selection:
        hashed = self.hashed(table, content)
        names = hashed if only_hashed else tuple(table.columns)
        columns = tuple(self.column(table, name) for name in names)
        return Selection(columns, hashed, self.source(table), _where(conditions))

    def source(self, table: SourceTable) -> Sql:
        """The table under the name `t`."""
        return Sql(f"{self.dialect.table(self.schema, table.name)} AS t")

    def _keys(self, table: SourceTable, where: Sql, end: Sql) -> Sql:
        columns = self.key(table)
        shown = ", ".join(self.dialect.spelled(column) for column in columns)
        order = ", ".join(column.reference for column in columns)
        return Sql(f"SELECT {shown} FROM ") + self.source(table) + where + f" ORDER BY {order} " + end

    def _between(self, table: SourceTable, bounds: Bounds) -> list[Sql]:
        columns = self.key(table)
        found = []
        if bounds.lower is not None:
            found.append(self.dialect.not_below(columns, _whole(table, bounds.lower)))
        if bounds.upper is not None:
            found.append(self.dialect.below(columns, _whole(table, bounds.upper)))
        return [*found, *self._complete(table)]

    def _complete(self, table: SourceTable) -> list[Sql]:
        return [Sql(f"{column.reference} IS NOT NULL") for column in self.key(table) if column.facts.is_nullable]

    def _of_years(self, table: SourceTable, years: tuple[int, ...]) -> list[Sql]:
        if not years:
            return []
        column = self.column(table, table.year_column)
        chosen = joined(", ", (self.dialect.typed(column.facts, str(year)) for year in years))
        return [Sql(f"{column.reference} IN (") + chosen + ")"]

    def _equal(self, columns: list[Column], key: Key) -> Sql:
        parts = [
            Sql(f"{column.reference} IS NULL")
            if value is None
            else Sql(f"{column.reference} = ") + self.dialect.typed(column.facts, value)
            for column, value in zip(columns, key, strict=True)
        ]
        return Sql("(") + joined(" AND ", parts) + ")"


def _where(conditions: list[Sql]) -> Sql:
    return Sql(" WHERE ") + joined(" AND ", conditions) if conditions else Sql("")


def _nulls(key: Key) -> tuple[bool, ...]:
    return tuple(value is None for value in key)


def _whole(table: SourceTable, key: Key) -> list[str]:
    """Bounds are keys without a null.

    Raises:
        ValueError: a bound that no comparison can place.
    """
    values = [value for value in key if value is not None]
    if len(values) != len(table.key):
        raise ValueError(f"{key} bounds no range of {table.name}")
    return values


def _sized(values: list[Key], limit: int) -> Iterator[list[Key]]:
    """The values in lists of few lengths: the last value fills one up, which asks for nothing more."""
    sizes = [size for size in _SIZES if size <= max(limit, 1)]
    while values:
        size = next((size for size in sizes if size >= len(values)), sizes[-1])
        chunk, values = values[:size], values[size:]
        yield chunk + [chunk[-1]] * (size - len(chunk))
