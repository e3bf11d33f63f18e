"""Which canonical entities changed source rows can have changed."""

from collections.abc import Mapping

import polars as pl

from contracts.mapping import Entity, Link, Pair
from services.ingest.domain.entities import Frames, Scope, link_values


def affected(pair: Pair, rows: Frames, changed: Mapping[str, pl.DataFrame]) -> Scope:
    """The parcels and sales that the changed rows (before and after images) belong to; too many do no harm.

    A change of the row that says the working year affects everything.
    """
    year_table = (pair.working_year.column or "").partition(".")[0]
    if year_table in changed and changed[year_table].height:
        return Scope()
    sales = _ids(pair, changed, Link.SALE_ID)
    parcels = [
        _ids(pair, changed, Link.PARCEL_ID),
        _parcels_of(pair, rows, pair.entities.parcel, Link.LOT_ID, _ids(pair, changed, Link.LOT_ID)),
        _parcels_of(pair, rows, pair.entities.owner, Link.OWNER_ID, _ids(pair, changed, Link.OWNER_ID)),
        _parcels_of(pair, rows, pair.entities.sale, Link.SALE_ID, sales),
    ]
    return Scope(parcel_ids=pl.concat(parcels).unique(), sale_ids=sales.unique())


def _ids(pair: Pair, changed: Mapping[str, pl.DataFrame], link: Link) -> pl.Series:
    found = [
        link_values(table, changed[table.name], link)
        for table in pair.tables
        if link in table.links and table.name in changed
    ]
    return pl.concat([pl.Series([], dtype=pl.String), *(ids.rename("") for ids in found)]).drop_nulls()


def _parcels_of(pair: Pair, rows: Frames, entity: Entity | None, link: Link, ids: pl.Series) -> pl.Series:
    """The parcels that an entity's root ties to other ids."""
    nobody = pl.Series([], dtype=pl.String)
    if entity is None or ids.is_empty():
        return nobody
    root = pair.table_by_name[entity.root]
    if link not in root.links or Link.PARCEL_ID not in root.links:
        return nobody
    is_tied = link_values(root, rows[root.name], link).is_in(ids.implode()).fill_null(value=False)
    return link_values(root, rows[root.name].filter(is_tied), Link.PARCEL_ID).rename("").drop_nulls()
