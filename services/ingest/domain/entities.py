"""Canonical entities out of source rows, by the mapping: a root row each, the other tables joined by shared links."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from contracts.county import SaleValidity
from contracts.mapping import ColumnType, Entity, FieldMapping, FieldSource, Link, Pair, Pick, SourceTable
from services.ingest.domain import fields
from services.ingest.domain.geometry import place

Frames = Mapping[str, pl.DataFrame]
_Wanted = tuple[FieldSource, str]
_INTEGER_LINKS = {Link.TAX_YEAR, Link.SUPPLEMENT}
_LAYER = [Link.PARCEL_ID.value, Link.TAX_YEAR.value, Link.SUPPLEMENT.value]
_KEYS = {
    "parcel": (Link.PARCEL_ID, Link.TAX_YEAR, Link.SUPPLEMENT),
    "owner": (Link.PARCEL_ID, Link.TAX_YEAR, Link.OWNER_ID),
    "sale": (Link.SALE_ID, Link.PARCEL_ID),
    "neighborhood": (Link.NEIGHBORHOOD, Link.TAX_YEAR),
}


@dataclass(frozen=True, slots=True)
class Years:
    """Which tax years are built: the working one, and the official layers of a certified one."""

    working: int
    certified: int | None = None

    @property
    def built(self) -> list[int]:
        """Each of them once."""
        return sorted({year for year in (self.working, self.certified) if year is not None})


def assemble_parcels(pair: Pair, rows: Frames, *, years: Years, epsg: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The parcels' working and official layers (`is_current`, `is_official`), and the owners of the working ones."""
    build = _Builder(pair, rows, years.working)
    working = build.entity("parcel", pair.entities.parcel, fields.PARCEL)
    owners = build.owners(working)
    flagged = working.with_columns(pl.lit(value=True).alias("is_current"), pl.lit(value=True).alias("is_official"))
    if pair.official is not None:
        layers = official_layers(pair, rows, years.built)
        others = [_official(pair, rows, year, layers, working) for year in years.built]
        is_official = working.join(layers, on=_LAYER, how="left", maintain_order="left")["is_there"].is_not_null()
        flagged = pl.concat([flagged.with_columns(is_official.alias("is_official")), *others])
    source_epsg = next((t.epsg for t in pair.tables if ColumnType.GEOMETRY in t.columns.values()), None) or epsg
    return _finish_parcels(flagged, list(pair.entities.parcel.attributes), source_epsg, epsg), owners


def assemble_sales(pair: Pair, rows: Frames, *, validity: SaleValidity) -> pl.DataFrame:
    """The sales, a row for each parcel of one."""
    return _finish_sales(_Builder(pair, rows, 0).entity("sale", pair.entities.sale, fields.SALE), validity)


def assemble_neighborhoods(pair: Pair, rows: Frames, *, working_year: int) -> pl.DataFrame:
    """The neighborhoods of the working year; `rows` may have the columns alone that they are made of."""
    build = _Builder(pair, rows, working_year)
    return build.entity("neighborhood", pair.entities.neighborhood, fields.NEIGHBORHOOD)


def official_layers(pair: Pair, rows: Frames, years: list[int]) -> pl.DataFrame:
    """Of each parcel and year the highest supplement that is in no group or in an accepted one."""
    official = pair.official
    assert official is not None
    tables = pair.table_by_name
    group_table, _, group = official.group.partition(".")
    status_table, _, status = official.status.partition(".")
    of_year = [Link.TAX_YEAR.value, Link.SUPPLEMENT.value]
    groups = linked(tables[group_table], rows[group_table]).select(*of_year, pl.col(group).alias("group"))
    statuses = rows[status_table].select(
        pl.col(tables[status_table].key[0]).alias("group"), pl.col(status).str.strip_chars().alias("status")
    )
    layers = linked(tables[official.layers], rows[official.layers]).select(_LAYER).drop_nulls().unique()
    judged = layers.join(groups, on=of_year, how="left").join(statuses, on="group", how="left")
    accepted = pl.col("group").is_null() | pl.col("status").is_in(list(official.accepted)).fill_null(value=False)
    return (
        judged.filter(accepted, pl.col(Link.TAX_YEAR).is_in(years))
        .group_by(Link.PARCEL_ID, Link.TAX_YEAR)
        .agg(pl.col(Link.SUPPLEMENT).max())
        .select(*_LAYER, pl.lit(value=True).alias("is_there"))
        .sort(_LAYER)
    )


def _official(pair: Pair, rows: Frames, year: int, layers: pl.DataFrame, working: pl.DataFrame) -> pl.DataFrame:
    """The official layers of a year that are not the working ones."""
    wanted = layers.filter(pl.col(Link.TAX_YEAR) == year).join(working, on=_LAYER, how="anti").select(_LAYER)
    built = _Builder(pair, rows, year).entity("parcel", pair.entities.parcel, fields.PARCEL, layers=wanted)
    return built.with_columns(pl.lit(value=False).alias("is_current"), pl.lit(value=True).alias("is_official"))


def linked(table: SourceTable, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what they identify, as far as they have the columns for it."""
    there = [link for link in table.links if set(table.link_columns(link)) <= set(rows.columns)]
    return rows.with_columns(_link(table, link) for link in there)


def link_values(table: SourceTable, rows: pl.DataFrame, link: Link) -> pl.Series:
    """The canonical id that a link's columns make up, row by row."""
    return rows.select(_link(table, link)).to_series()


def _link(table: SourceTable, link: Link) -> pl.Expr:
    columns = table.link_columns(link)
    if link in _INTEGER_LINKS:
        return pl.col(columns[0]).cast(pl.Int64).alias(link.value)
    parts = [pl.col(name).cast(pl.String).str.strip_chars() for name in columns]
    return pl.concat_str(parts, separator=":").alias(link.value)


class _Builder:
    """Builds entities of one pair for one working year."""

    def __init__(self, pair: Pair, rows: Frames, working_year: int) -> None:
        self.pair = pair
        self.rows = rows
        self.working_year = working_year
        self.tables = pair.table_by_name

    def entity(
        self,
        name: str,
        entity: Entity | None,
        kinds: dict[str, str],
        *,
        layers: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """One row an entity: its links, every canonical field, attributes as `attributes.<name>`.

        `layers` are those to build in place of the ones that the root points to.
        """
        keys = [link.value for link in _KEYS[name]]
        if entity is None:
            return pl.DataFrame(schema={**_key_types(keys), **{k: fields.POLARS_TYPES[t] for k, t in kinds.items()}})
        if layers is None:
            root = self._root(entity.root, keys, year=self.working_year if "tax_year" in keys else None)
        else:
            root = self._layers(entity.root, layers)
        for table in entity.required:
            present = self._linked(table).select(self._shared(table, root, keys)).unique()
            root = root.join(present, on=present.columns, how="semi")
        mapped = next(found for found_name, _, found in self.pair.entities.mapped() if found_name == name)
        return self._fill(root, keys, mapped, kinds)

    def owners(self, parcels: pl.DataFrame) -> pl.DataFrame:
        """The owners of the parcels' working layers."""
        entity = self.pair.entities.owner
        owners = self.entity("owner", entity, fields.OWNER)
        on = [name for name in ("parcel_id", "tax_year", "supplement") if name in owners.columns]
        kept = self._hide(owners.join(parcels, on=on, how="semi", maintain_order="left"))
        return kept.select("parcel_id", "tax_year", "owner_id", *fields.OWNER).unique(
            ["parcel_id", "tax_year", "owner_id"], keep="first", maintain_order=True
        )

    def _hide(self, owners: pl.DataFrame) -> pl.DataFrame:
        """Takes name and address from confidential owners."""
        confidential = self.pair.entities.owner.confidential if self.pair.entities.owner else None
        if confidential is None:
            return owners
        table, _, column = confidential.column.partition(".")
        hidden = self._linked(table).filter(pl.col(column).is_in(list(confidential.values)))[Link.OWNER_ID]
        is_open = ~pl.col(Link.OWNER_ID).is_in(hidden.implode())
        return owners.with_columns(pl.when(is_open).then(name).alias(name) for name in ("name", "mailing_address"))

    def _linked(self, name: str) -> pl.DataFrame:
        return linked(self.tables[name], self.rows[name])

    def _layers(self, root: str, layers: pl.DataFrame) -> pl.DataFrame:
        """Given layers with what else the root says of their parcels in that year, such as the lot."""
        rows = self._linked(root)
        on = [name for name in ("parcel_id", "tax_year") if name in rows.columns]
        more = [link.value for link in self.tables[root].links if link.value in rows.columns and link not in _LAYER]
        if not more:
            return layers
        return layers.join(rows.select(*on, *more).unique(on, keep="last", maintain_order=True), on=on, how="left")

    def _root(self, name: str, keys: list[str], *, year: int | None) -> pl.DataFrame:
        """The root's links, one row each key; a source without years or supplements has the one layer."""
        rows = self._linked(name)
        links = [link for link in self.tables[name].links if link.value in rows.columns]
        root = rows.select(links)
        if year is not None:
            if Link.TAX_YEAR in links:
                root = root.filter(pl.col(Link.TAX_YEAR) == year)
            else:
                root = root.with_columns(pl.lit(year, dtype=pl.Int64).alias(Link.TAX_YEAR))
        if Link.SUPPLEMENT in keys and Link.SUPPLEMENT not in links:
            root = root.with_columns(pl.lit(0, dtype=pl.Int64).alias(Link.SUPPLEMENT))
        whole = root.filter(pl.all_horizontal(pl.col(key).is_not_null() for key in keys))
        unique_by = (
            [*keys, Link.SUPPLEMENT] if Link.SUPPLEMENT in whole.columns and Link.SUPPLEMENT not in keys else keys
        )
        return whole.unique(unique_by, keep="first", maintain_order=True)

    def _shared(self, table: str, root: pl.DataFrame, keys: list[str]) -> list[str]:
        """What joins a table to an entity: shared parts of its key; where there are none, any other shared link."""
        shared: list[str] = [link.value for link in self.tables[table].links if link.value in root.columns]
        assert shared, f"{table} shares no link with the entity"
        return [name for name in shared if name in keys or name == Link.SUPPLEMENT] or shared

    def _fill(
        self, root: pl.DataFrame, keys: list[str], mapped: dict[str, FieldMapping], kinds: dict[str, str]
    ) -> pl.DataFrame:
        """Joins every picked value to the root and makes the fields of them."""
        wanted = [(source, _alias(name, n)) for name, field in mapped.items() for n, source in enumerate(field.sources)]
        wide = root
        for _, group in groupby(sorted(wanted, key=_grouping), key=_grouping):
            picked, on = self._pick(root, keys, list(group))
            wide = wide.join(picked, on=on, how="left", maintain_order="left")
        made = [
            _field(name, mapped[name], kind)
            if name in mapped
            else pl.lit(None, dtype=fields.POLARS_TYPES[kind]).alias(name)
            for name, kind in kinds.items()
        ]
        attributes = [
            _field(name, field, self._attribute_kind(field))
            for name, field in mapped.items()
            if name.startswith("attributes.")
        ]
        others = [name for name in ("supplement",) if name in root.columns and name not in keys]
        return wide.select(*keys, *others, *made, *attributes)

    def _attribute_kind(self, field: FieldMapping) -> str:
        source = field.sources[0]
        kind = self.tables[source.table].columns[source.name]
        numeric = kind in {ColumnType.INTEGER, ColumnType.DECIMAL} or source.pick is Pick.SUM
        return fields.NUMBER if numeric else fields.TEXT

    def _pick(self, root: pl.DataFrame, keys: list[str], sources: list[_Wanted]) -> tuple[pl.DataFrame, list[str]]:
        """One row a key with the values of sources that look at the same rows in the same way."""
        head, _ = sources[0]
        rows = self._linked(head.table)
        for name, values in head.where.items():
            rows = rows.filter(pl.col(name).is_in(values))
        if head.layer == "prior":
            rows = self._prior_layer(head.table, rows)
        on = [name for name in self._shared(head.table, root, keys) if name in rows.columns]
        rows = rows.join(root.select(on).unique(), on=on, how="semi", maintain_order="left")
        if head.order_by is not None:
            rows = rows.sort(head.order_by, maintain_order=True)
        picked = [_picked(source).alias(alias) for source, alias in sources]
        return rows.group_by(on, maintain_order=True).agg(picked), on

    def _prior_layer(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of the layer that was current a year earlier, joined by parcel alone."""
        keys = [link.value for link in _KEYS["parcel"]]
        prior = self._root(self.pair.entities.parcel.root, keys, year=self.working_year - 1)
        on = self._shared(table, prior, keys)
        return rows.join(prior.select(on).unique(), on=on, how="semi").drop(
            [name for name in ("tax_year", "supplement") if name in rows.columns]
        )


def _key_types(keys: list[str]) -> dict[str, type[pl.DataType]]:
    return {key: pl.Int64 if Link(key) in _INTEGER_LINKS else pl.String for key in keys}


def _alias(field: str, number: int) -> str:
    return f"@{field}:{number}"


def _grouping(wanted: _Wanted) -> tuple[str, str, str, str]:
    source, _ = wanted
    return source.table, source.layer, repr(sorted(source.where.items())), source.order_by or ""


def _picked(source: FieldSource) -> pl.Expr:
    column = pl.col(source.name)
    number = column.cast(pl.Float64, strict=False)
    match source.pick:
        case Pick.FIRST:
            return column.first()
        case Pick.LAST:
            return column.last()
        case Pick.SUM:
            return pl.when(number.count() > 0).then(number.sum())
        case Pick.MAXIMUM:
            return number.max()
        case Pick.MINIMUM:
            return number.min()


def _field(name: str, field: FieldMapping, kind: str) -> pl.Expr:
    parts = [_part(source, pl.col(_alias(name, n)), kind) for n, source in enumerate(field.sources)]
    value: pl.Expr
    if field.combine == "sum":
        known = pl.any_horizontal(part.is_not_null() for part in parts)
        value = pl.when(known).then(pl.sum_horizontal(part.cast(pl.Float64) for part in parts))
    elif field.combine == "join":
        joined = pl.concat_str(parts, separator=" ", ignore_nulls=True)
        value = pl.when(joined != "").then(joined)
    else:
        value = pl.coalesce(parts)
    return (value.replace(field.codes) if field.codes else value).alias(name)


def _part(source: FieldSource, value: pl.Expr, kind: str) -> pl.Expr:
    read_as = fields.NUMBER if source.factor is not None else kind
    part = fields.cast(value, read_as)
    if source.null_if:
        unknown = pl.Series(list(source.null_if), strict=False).cast(fields.POLARS_TYPES[read_as])
        part = pl.when(~part.is_in(unknown.implode())).then(part)
    if source.factor is not None:
        part = fields.cast(part * source.factor, kind)
    return part


def _finish_parcels(parcels: pl.DataFrame, attributes: list[str], source_epsg: int, epsg: int) -> pl.DataFrame:
    """Adds activity, attributes as one document, and what follows from the polygon."""
    named = [pl.col(f"attributes.{name}").alias(name) for name in attributes]
    document = pl.struct(named).struct.json_encode() if named else pl.lit("{}")
    placed = place(parcels["geometry"], source_epsg=source_epsg, epsg=epsg)
    return (
        parcels.with_columns(document.alias("attributes"), pl.col("inactive_date").is_null().alias("is_active"))
        .with_columns(placed.drop("longitude", "latitude"))
        .with_columns(
            pl.coalesce(parcels["longitude"], placed["longitude"]).alias("longitude"),
            pl.coalesce(parcels["latitude"], placed["latitude"]).alias("latitude"),
        )
        .drop("geometry", "inactive_date", *(f"attributes.{name}" for name in attributes))
    )


def _finish_sales(sales: pl.DataFrame, validity: SaleValidity) -> pl.DataFrame:
    """Adds how many parcels a sale has and whether it counts as arm's length by the county's rule."""
    code = pl.col("validity_code")
    by_code = code.is_in(list(validity.qualified_codes)).fill_null(value=validity.null_is_qualified)
    dear = (pl.col("sale_price_usd") >= validity.minimum_price_usd).fill_null(value=False)
    return sales.with_columns(
        (by_code & dear).alias("is_qualified"), pl.len().over("sale_id").cast(pl.Int64).alias("parcel_count")
    )
