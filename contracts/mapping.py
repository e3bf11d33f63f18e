"""The shape of a county's `mappings.yaml`: what is read from a legacy system, and what it becomes.

Columns are declared with a type and, where they identify something canonical, a link. An entity names a root table,
whose rows it has one each of; every other table is joined to it by the links that both have.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from contracts.file_format import FileFormat
from contracts.following import Following, ReaderName
from contracts.pairs import Match, OriginMark, PairRole
from contracts.quarantine import QuarantineRule
from contracts.subjects import COUNTY_PATTERN
from contracts.value_file import ValueFileLayout

Scalar = str | int | float | bool

PersonalTreatment = Literal["mask", "hmac", "drop"]
"""What events and images show of a personal value: `***`, an HMAC-SHA256 with the key's id, or nothing."""


class Section(BaseModel):
    """A part of a mapping: a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnType(StrEnum):
    """How a source column is read. Texts lose trailing blanks; null and the empty text stay distinct."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    GEOMETRY = "geometry"


class Link(StrEnum):
    """What a column identifies; tables are joined by the links that they share."""

    PARCEL_ID = "parcel_id"
    TAX_YEAR = "tax_year"
    SUPPLEMENT = "supplement"
    SALE_ID = "sale_id"
    OWNER_ID = "owner_id"
    NEIGHBORHOOD = "neighborhood"
    LOT_ID = "lot_id"
    """A polygon that several parcels may share, as condominium units share their lot."""


class Check(Section):
    """A rule that a row has to meet; exactly one of the tests is named. Null passes all but `required`."""

    rule: QuarantineRule
    column: str
    minimum: float | None = None
    maximum: float | None = None
    maximum_years_ahead: int | None = Field(default=None, description="a year at most so many after this one")
    ignore: tuple[float, ...] = Field(default=(), description="values that mean unknown, such as year 0")
    required: Literal[True] | None = Field(default=None, description="neither null nor blank")
    required_with: str | None = Field(default=None, description="not null where this column is above zero")
    not_after_today: Literal[True] | None = None
    references: str | None = Field(default=None, description="`table.column` that has to hold the value")
    references_year: str | None = Field(default=None, description="`table.column` of the year, with `references`")
    year_column: str | None = Field(default=None, description="this row's year, with `references_year`")
    valid_geometry: Literal[True] | None = None

    @model_validator(mode="after")
    def _has_one_test(self) -> Self:
        tests = [
            self.minimum is not None or self.maximum is not None or self.maximum_years_ahead is not None,
            *(test is not None for test in (self.required, self.required_with, self.not_after_today)),
            *(test is not None for test in (self.references, self.valid_geometry)),
        ]
        if sum(tests) != 1:
            raise ValueError(f"the check {self.rule} of {self.column} names {sum(tests)} tests, not one")
        if (self.references_year is None) != (self.year_column is None):
            raise ValueError(f"the check {self.rule} of {self.column} names half of a year to compare")
        return self


class SourceTable(Section):
    """A table of the source, or a file of a folder."""

    name: str
    file: str | None = Field(default=None, description="the file's name, for the files connector")
    file_format: FileFormat = Field(default=FileFormat(), description="of a file, and the layer of a feature service")
    key: tuple[str, ...] = Field(min_length=1)
    columns: dict[str, ColumnType]
    links: dict[Link, str | tuple[str, ...]] = Field(
        default_factory=dict, description="several columns are joined with a colon"
    )
    personal: tuple[str, ...] = Field(default=(), description="names and addresses of people; masked in every event")
    personal_as: dict[str, PersonalTreatment] = Field(
        default_factory=dict,
        description="other than `mask`: `hmac` tells equal values apart without showing them, `drop` is never stored",
    )
    null_values: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="texts that mean null, by column")
    where: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict, description="other rows are read and filtered")
    repeats_ordered_by: str | None = Field(
        default=None, description="of rows with one key the first by this column counts; null: none of them does"
    )
    years: int | None = Field(
        default=None, ge=1, description="read only so many years of `tax_year`, the working year the last of them"
    )
    checks: tuple[Check, ...] = ()
    reader: ReaderName | None = Field(default=None, description="null: the pair's")
    changed_column: str | None = Field(
        default=None, description="the rowversion or timestamp that moves with every change of a row; null: found out"
    )
    epsg: int | None = Field(default=None, description="the geometry's CRS; null: the county's")
    origin: OriginMark | None = Field(default=None, description="rows that TerraFusion's own values were written to")

    @model_validator(mode="after")
    def _columns_are_declared(self) -> Self:
        named = {*self.key, *self.personal, *self.where, *self.null_values, *(check.column for check in self.checks)}
        named |= {name for check in self.checks for name in (check.required_with, check.year_column) if name}
        named |= {name for link in self.links for name in self.link_columns(link)}
        named |= {self.repeats_ordered_by} if self.repeats_ordered_by else set()
        named |= {self.origin.column} if self.origin else set()
        named |= {*self.file_format.date_formats, *self.file_format.empty_if_missing}
        if unknown := sorted(named - set(self.columns)):
            raise ValueError(f"table {self.name} does not declare the columns {unknown}")
        if public := sorted(set(self.personal_as) - set(self.personal)):
            raise ValueError(f"table {self.name} treats {public} as personal and does not call them so")
        if self.years is not None and Link.TAX_YEAR not in self.links:
            raise ValueError(f"table {self.name} limits years and links no tax_year")
        return self

    @property
    def year_column(self) -> str:
        """The column of the tax year."""
        return self.link_columns(Link.TAX_YEAR)[0]

    def link_columns(self, link: Link) -> tuple[str, ...]:
        """The columns that make up a link."""
        columns = self.links[link]
        return (columns,) if isinstance(columns, str) else columns


class Pick(StrEnum):
    """How one value comes of several rows."""

    FIRST = "first"
    LAST = "last"
    SUM = "sum"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"


class FieldSource(Section):
    """Where a value stands."""

    column: str = Field(pattern=r"^\w+\.\w+$", description="`table.column`")
    where: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    pick: Pick = Pick.FIRST
    order_by: str | None = Field(default=None, description="a column of the same table; first and last mean by it")
    layer: Literal["working", "prior"] = "working"
    factor: float | None = Field(default=None, description="multiplies a number, for another unit")
    null_if: tuple[Scalar, ...] = Field(default=(), description="values that mean unknown")

    @property
    def table(self) -> str:
        """The table's name."""
        return self.column.partition(".")[0]

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.partition(".")[2]


class FieldMapping(Section):
    """How a canonical field comes of its sources."""

    sources: tuple[FieldSource, ...] = Field(min_length=1)
    combine: Literal["first", "sum", "join"] = Field(
        default="first", description="the first that is not null, the sum, or the texts with a blank between"
    )
    codes: dict[str, str] = Field(default_factory=dict, description="source code to canonical code; others stay")


class ShortField(FieldSource):
    """A field with one source, in short."""

    codes: dict[str, str] = Field(default_factory=dict, description="source code to canonical code; others stay")


def _expand(value: Any) -> Any:
    """`table.column` and a single source may stand in short."""
    if isinstance(value, str):
        return {"sources": [{"column": value}]}
    if isinstance(value, dict) and "column" in value:
        rest = {name: value[name] for name in ("codes",) if name in value}
        return {"sources": [{k: v for k, v in value.items() if k not in rest}], **rest}
    return value


_Column = Annotated[str, Field(pattern=r"^\w+\.\w+$", description="`table.column`")]
MappedField = Annotated[
    FieldMapping, BeforeValidator(_expand, json_schema_input_type=_Column | ShortField | FieldMapping)
]

ParcelField = Literal[
    "parcel_number", "property_type", "use_code", "neighborhood", "zoning", "situs_address", "situs_city", "situs_zip",
    "legal_description", "land_value_usd", "improvement_value_usd", "total_value_usd", "market_value_usd",
    "taxable_value_usd", "prior_total_value_usd", "cost_approach_value_usd", "income_approach_value_usd",
    "market_approach_value_usd", "year_built", "effective_year_built", "living_area_sqft", "land_area_sqft", "bedrooms",
    "bathrooms", "stories", "building_class", "condition", "inactive_date", "longitude", "latitude", "geometry",
]  # fmt: skip
OwnerField = Literal["name", "mailing_address", "ownership_percent"]
SaleField = Literal[
    "sale_date", "sale_price_usd", "adjusted_price_usd", "deed_type", "validity_code", "recorded_date",
    "living_area_sqft", "land_area_sqft", "year_built",
]  # fmt: skip
NeighborhoodField = Literal["name"]


class Entity(Section):
    """What every entity says: the table with one row each of it, and the tables that it cannot do without."""

    root: str
    required: tuple[str, ...] = Field(default=(), description="no such entity where one of these has no row")


class ParcelEntity(Entity):
    """Parcels; the root is the pointer to the current layer where the source has layers."""

    fields: dict[ParcelField, MappedField]
    attributes: dict[str, MappedField] = Field(default_factory=dict, description="further characteristics, by name")


class Confidential(Section):
    """Which owners' names and addresses the county keeps to itself."""

    column: str = Field(pattern=r"^\w+\.\w+$", description="`table.column` of a table that links owner_id")
    values: tuple[Scalar, ...] = Field(min_length=1)


class OwnerEntity(Entity):
    """Owners of parcels; confidential ones have neither name nor address in the record."""

    confidential: Confidential | None = None
    fields: dict[OwnerField, MappedField]


class SaleEntity(Entity):
    """Sales, once for each parcel that was part of one."""

    fields: dict[SaleField, MappedField]


class NeighborhoodEntity(Entity):
    """Neighborhoods of a year."""

    fields: dict[NeighborhoodField, MappedField] = Field(default_factory=dict)


class Entities(Section):
    """The canonical entities that a pair feeds."""

    parcel: ParcelEntity
    owner: OwnerEntity | None = None
    sale: SaleEntity | None = None
    neighborhood: NeighborhoodEntity | None = None

    def mapped(self) -> list[tuple[str, Entity, dict[str, FieldMapping]]]:
        """Every entity that is mapped with its name and all its fields."""
        parcel_fields: dict[str, FieldMapping] = {str(name): field for name, field in self.parcel.fields.items()}
        parcel_fields |= {f"attributes.{name}": field for name, field in self.parcel.attributes.items()}
        found: list[tuple[str, Entity, dict[str, FieldMapping]]] = [("parcel", self.parcel, parcel_fields)]
        for name, entity in (("owner", self.owner), ("sale", self.sale), ("neighborhood", self.neighborhood)):
            if entity is not None:
                found.append((name, entity, dict(entity.fields)))  # type: ignore[arg-type]
        return found


class WorkingYear(Section):
    """Which tax year is current: a column of a table of one row, or a year said here."""

    column: str | None = Field(default=None, pattern=r"^\w+\.\w+$")
    year: int | None = None

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.column is None) == (self.year is None):
            raise ValueError("working_year names a column or a year")
        return self


class Official(Section):
    """Which layer of a year is the official one: the highest supplement whose group is null or accepted.

    PACS moves its pointer to a supplement while that is still pending; the roll has it once its group is accepted.
    """

    layers: str = Field(description="the table that has a row for every layer, with parcel, year and supplement")
    group: str = Field(
        pattern=r"^\w+\.\w+$", description="`table.column`: a supplement's group, by year and supplement"
    )
    status: str = Field(pattern=r"^\w+\.\w+$", description="`table.column`: a group's status; its key is the group")
    accepted: tuple[str, ...] = Field(min_length=1, description="the statuses that make a group official")


class Pair(Section):
    """A legacy system that a county is synchronised with; its URL is `TERRAFUSION_SOURCE_<PAIR>_URL`."""

    pair: str = Field(pattern=COUNTY_PATTERN)
    connector: Literal["pacs", "sql", "files", "feature_service"]
    role: PairRole = Field(default="primary", description="what becomes of its rows; one pair of a county is primary")
    match: Match = Field(default=Match(), description="of other roles: how it finds the parcels of the primary pair")
    reader: ReaderName = "auto"
    following: Following = Following()
    source_schema: str = Field(default="dbo", description="the schema of the source's tables")
    working_year: WorkingYear
    certified_year: WorkingYear | None = Field(
        default=None, description="the year that is certified: changes of its official layers are told as such"
    )
    official: Official | None = Field(default=None, description="null: the working layer is the official one")
    scope: str | None = Field(
        default=None, description="rows that belong to a parcel which `where` of this table leaves out are left out too"
    )
    snapshot_events: bool = Field(default=False, description="publish an `r` envelope per row of the first load")
    tables: tuple[SourceTable, ...] = Field(min_length=1)
    entities: Entities
    value_file: ValueFileLayout = Field(
        default=ValueFileLayout(), description="of the primary pair: how approved values are written for its import"
    )
    _together: "Together" = PrivateAttr(default_factory=lambda: Together())  # noqa: PLW0108 it is defined below

    @property
    def together(self) -> "Together":
        """All pairs of the county, and whose word counts; nothing where it was loaded without them."""
        return self._together

    @property
    def mapped_fields(self) -> set[str]:
        """Fields of parcels and owners that it says, as `ownership` names them."""
        named = {name: fields for name, _, fields in self.entities.mapped()}
        return {*named["parcel"], *(f"owner.{name}" for name in named.get("owner", {}))}

    @property
    def table_by_name(self) -> dict[str, SourceTable]:
        """The tables by name."""
        return {table.name: table for table in self.tables}

    def _personal_attributes(self) -> set[str]:
        tables = self.table_by_name
        return {
            name
            for name, field in self.entities.parcel.attributes.items()
            for source in field.sources
            if source.name in tables[source.table].personal
        }

    def _has_layers(self, official: Official) -> bool:
        tables = self.table_by_name
        layers, group, status = (
            tables.get(name.partition(".")[0]) for name in (official.layers, official.group, official.status)
        )
        if layers is None or group is None or status is None:
            return True  # said as an unknown table
        of_year = {Link.TAX_YEAR, Link.SUPPLEMENT}
        return {Link.PARCEL_ID, *of_year} <= layers.links.keys() and of_year <= group.links.keys()

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        tables = self.table_by_name
        if len(tables) != len(self.tables):
            raise ValueError(f"pair {self.pair} declares a table twice")
        named = [
            source.column for _, _, fields in self.entities.mapped() for f in fields.values() for source in f.sources
        ]
        named += [
            name for table in self.tables for c in table.checks for name in (c.references, c.references_year) if name
        ]
        named += [year.column for year in (self.working_year, self.certified_year) if year and year.column]
        named += [self.official.group, self.official.status] if self.official else []
        named += [owner.confidential.column] if (owner := self.entities.owner) and owner.confidential else []
        known = {f"{table.name}.{column}" for table in self.tables for column in table.columns}
        roots = {name for _, entity, _ in self.entities.mapped() for name in (entity.root, *entity.required)}
        roots |= {self.scope} if self.scope else set()
        roots |= {self.official.layers} if self.official else set()
        if unknown := sorted(set(named) - known) + sorted(roots - set(tables)):
            raise ValueError(f"pair {self.pair} uses what its tables do not declare: {unknown}")
        if self.official and not self._has_layers(self.official):
            raise ValueError(f"pair {self.pair}: official needs layers that link parcel_id, tax_year and supplement")
        if shown := sorted(self._personal_attributes()):
            raise ValueError(f"pair {self.pair} makes attributes of personal columns, which everybody sees: {shown}")
        if self.connector == "files" and (missing := [t.name for t in self.tables if t.file is None]):
            raise ValueError(f"pair {self.pair} names no file for {missing}")
        return self


@dataclass(frozen=True, slots=True)
class Together:
    """The pairs of a county, the primary one first, and whose word counts where several say the same field."""

    pairs: tuple[Pair, ...] = ()
    ownership: dict[str, str] = field(default_factory=dict)
    tolerances: dict[str, float] = field(default_factory=dict)

    @property
    def primary(self) -> Pair | None:
        """The pair that makes the parcels."""
        return next((pair for pair in self.pairs if pair.role == "primary"), None)

    @property
    def contributing(self) -> tuple[Pair, ...]:
        """Those that say fields of the parcels, as they stand in the file."""
        return tuple(pair for pair in self.pairs if pair.role == "contributing")

    @property
    def rules(self) -> str:
        """What the record is made by beside the primary pair's mapping; empty where there is no other."""
        found = [
            f"{pair.pair} {pair.match.model_dump_json()} {sorted(pair.mapped_fields)}" for pair in self.contributing
        ]
        return repr((found, sorted(self.ownership.items()), sorted(self.tolerances.items()))) if found else ""


OWNED_FIELDS = {*get_args(ParcelField), *(f"owner.{name}" for name in get_args(OwnerField))} - {"inactive_date"}
"""What a pair may own, beside attributes: whether a parcel is active the primary pair alone says."""


class CountyMappings(Section):
    """A county's `mappings.yaml`."""

    pairs: tuple[Pair, ...]
    ownership: dict[str, str] = Field(
        default_factory=dict, description="by field, the pair whose value stands where several say one"
    )
    tolerances: dict[str, float] = Field(
        default_factory=dict, description="by field, how far two systems may differ and still agree"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [pair.pair for pair in self.pairs]
        if len(set(names)) != len(names):
            raise ValueError("two pairs have the same name")
        return self

    @model_validator(mode="after")
    def _one_pair_makes_the_parcels(self) -> Self:
        primary = [pair.pair for pair in self.pairs if pair.role == "primary"]
        if self.pairs and len(primary) != 1:
            raise ValueError(f"one pair of a county is primary, not {primary}: others are contributing or parallel")
        for pair in self.pairs:
            if pair.role == "contributing" and (pair.entities.sale or pair.entities.neighborhood):
                raise ValueError(f"pair {pair.pair} is contributing: sales and neighborhoods are the primary pair's")
            if pair.role == "contributing" and "inactive_date" in pair.entities.parcel.fields:
                raise ValueError(f"pair {pair.pair} is contributing: whether a parcel is active the primary pair says")
        return self

    @model_validator(mode="after")
    def _owners_are_there(self) -> Self:
        by_name = {pair.pair: pair for pair in self.pairs}
        attributes = {name for pair in self.pairs for name in pair.mapped_fields if name.startswith("attributes.")}
        if unknown := sorted({*self.ownership, *self.tolerances} - OWNED_FIELDS - attributes):
            raise ValueError(f"ownership and tolerances name fields that there are not: {unknown}")
        for name, owner in self.ownership.items():
            if owner not in by_name:
                raise ValueError(f"the owner of {name} is no pair of the county: {owner}")
            if by_name[owner].role == "parallel" or name not in by_name[owner].mapped_fields:
                raise ValueError(f"the pair {owner} owns {name} and does not say it")
        if negative := sorted(name for name, tolerance in self.tolerances.items() if tolerance < 0):
            raise ValueError(f"a tolerance is not below zero: {negative}")
        return self

    @model_validator(mode="after")
    def _pairs_know_each_other(self) -> Self:
        ordered = sorted(self.pairs, key=lambda pair: pair.role != "primary")
        together = Together(tuple(pair.model_copy() for pair in ordered), self.ownership, self.tolerances)
        for pair in self.pairs:
            pair._together = together  # noqa: SLF001 of this module
        return self
