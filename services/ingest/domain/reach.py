"""Which landed rows an entity is made of, and which entities changed rows can have changed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contracts.mapping import Entity, FieldMapping, Link, Pair, SourceTable
from services.ingest.domain.entities import Years


@dataclass(frozen=True, slots=True)
class Needed:
    """A table that entities are made of: its columns that matter, and the link by which its rows are found.

    No link: its rows belong to no parcel or sale alone (codes, years), and all of them are read.
    """

    table: SourceTable
    columns: tuple[str, ...]
    link: Link | None


def needed_for_parcels(pair: Pair) -> list[Needed]:
    """What parcels and their owners are made of; a row that names its parcel is found by it, others by the root."""
    entities = [pair.entities.parcel, *([pair.entities.owner] if pair.entities.owner else [])]
    return _needed(pair, entities, (Link.PARCEL_ID, Link.OWNER_ID, Link.LOT_ID), more=_official_columns(pair))


def needed_for_sales(pair: Pair) -> list[Needed]:
    """What sales are made of."""
    entities = [pair.entities.sale] if pair.entities.sale else []
    return _needed(pair, entities, (Link.SALE_ID, Link.PARCEL_ID))


def needed_for_neighborhoods(pair: Pair) -> list[Needed]:
    """What neighborhoods are made of, without what their tables hold beside."""
    entities = [pair.entities.neighborhood] if pair.entities.neighborhood else []
    return _needed(pair, entities, (), links=(Link.NEIGHBORHOOD, Link.TAX_YEAR))


def reaches_everything(pair: Pair, changed: Iterable[str]) -> bool:
    """Whether a change of one of these tables can change any entity, as that of the working year can."""
    years = [year.column.partition(".")[0] for year in (pair.working_year, pair.certified_year) if year and year.column]
    official = _official_columns(pair).keys()  # what changes there is found by year and supplement
    codes = [
        needed.table.name
        for needed in (*needed_for_parcels(pair), *needed_for_sales(pair))
        if needed.link is None and needed.table.name not in official
    ]
    return not {*years, *codes}.isdisjoint(changed)


def built_years(pair: Pair, *, working: int, certified: int | None) -> Years:
    """The years to build; a certified one only where every layered table is read far enough back to be whole."""
    if pair.official is None or certified is None or certified == working:
        return Years(working)
    layered = [n.table for n in needed_for_parcels(pair) if Link.TAX_YEAR in n.table.links and n.link is not None]
    parcel = {source.table for field in _fields(pair, pair.entities.parcel) for source in field.sources}
    is_whole = all(
        table.years is None or working - table.years < certified for table in layered if table.name in parcel
    )
    return Years(working, certified if is_whole else None)


def _needed(
    pair: Pair,
    entities: Sequence[Entity],
    ways: tuple[Link, ...],
    *,
    links: tuple[Link, ...] = tuple(Link),
    more: dict[str, set[str]] | None = None,
) -> list[Needed]:
    columns: dict[str, set[str]] = {name: set(names) for name, names in (more or {}).items()}
    for entity in entities:
        for name, names in _used(pair, entity):
            columns.setdefault(name, set()).update(names)
    found = []
    for name, used in columns.items():
        table = pair.table_by_name[name]
        used |= {column for link in table.links if link in links for column in table.link_columns(link)}
        way = next((link for link in ways if link in table.links), None)
        found.append(Needed(table, tuple(column for column in table.columns if column in used), way))
    return found


def _used(pair: Pair, entity: Entity) -> Iterator[tuple[str, set[str]]]:
    """Every table that an entity looks into, with the columns that it takes."""
    for table in (entity.root, *entity.required):
        mark = pair.table_by_name[table].origin
        yield table, {mark.column} if mark else set()
    for field in _fields(pair, entity):
        for source in field.sources:
            yield source.table, {source.name, *source.where, *([source.order_by] if source.order_by else [])}
    confidential = pair.entities.owner.confidential if pair.entities.owner is entity and pair.entities.owner else None
    if confidential is not None:
        table, _, column = confidential.column.partition(".")
        yield table, {column}


def _fields(pair: Pair, entity: Entity) -> Iterable[FieldMapping]:
    return next(fields.values() for _, found, fields in pair.entities.mapped() if found is entity)


def _official_columns(pair: Pair) -> dict[str, set[str]]:
    """The tables that say which layers are official, with their columns."""
    if pair.official is None:
        return {}
    tables = pair.table_by_name
    group_table, _, group = pair.official.group.partition(".")
    status_table, _, status = pair.official.status.partition(".")
    return {
        pair.official.layers: set(),
        group_table: {group},
        status_table: {status, tables[status_table].key[0]},
    }
