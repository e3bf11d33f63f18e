"""In which order tables are read: those by which others are judged come first."""

from contracts.mapping import Link, Pair, SourceTable


def judged_by(pair: Pair, table: SourceTable) -> set[str]:
    """The other tables by which a table's rows are judged: its references, and the scope."""
    found = {check.references.partition(".")[0] for check in table.checks if check.references is not None}
    if pair.scope is not None and Link.PARCEL_ID in table.links:
        found.add(pair.scope)
    return found - {table.name}


def reading_order(pair: Pair, tables: list[SourceTable]) -> list[SourceTable]:
    """The tables as declared, but each behind those that it is judged by; a circle is read as declared."""
    waiting, ordered = list(tables), []
    while waiting:
        names = {table.name for table in waiting}
        free = [table for table in waiting if not judged_by(pair, table) & names]
        ordered += (ready := free or waiting[:1])
        done = {table.name for table in ready}
        waiting = [table for table in waiting if table.name not in done]
    return ordered


def lands_filtered(pair: Pair, table: SourceTable) -> bool:
    """Whether rows that `where` leaves out have to be known all the same, for others are judged by them."""
    return table.name == pair.scope or any(table.name in judged_by(pair, other) for other in pair.tables)


def dependants(pair: Pair, scope: str) -> list[SourceTable]:
    """The tables whose rows are left out with the parcels of the scope's table."""
    return [table for table in pair.tables if table.name != scope and Link.PARCEL_ID in table.links]


def needed_tables(pair: Pair, chosen: list[str] | None) -> list[SourceTable]:
    """The chosen tables and those that their rows are judged by; null: all of them.

    Raises:
        KeyError: one that the pair does not have.
    """
    if chosen is None:
        return reading_order(pair, list(pair.tables))
    tables = pair.table_by_name
    names = {*chosen} | {name for table in chosen for name in judged_by(pair, tables[table])}
    names |= {column.partition(".")[0] for column in [pair.working_year.column] if column}
    return reading_order(pair, [table for table in pair.tables if table.name in names])
