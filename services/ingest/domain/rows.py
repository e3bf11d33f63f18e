"""Source rows in one spelling, with a key, a digest and an image each.

Whatever the source pads or writes in several ways (blanks at the end, `1.50` and `1.5`, a time with or without its
zero milliseconds) reads the same here, so that only a real change has another digest. Null and the empty text differ.
"""

from collections.abc import Callable
from hashlib import blake2b

import polars as pl

from contracts.events.ingest import MASK
from contracts.mapping import ColumnType, SourceTable

KEY, DIGEST = "@key", "@digest"
FAULT_FIELD, FAULT_VALUE = "@fault_field", "@fault_value"
KEY_IS_WHOLE = "@key_is_whole"
WHOLE = "@whole"
"""The row as JSON, with what is personal in it: never stored as it is."""

NUL = "\0"
_ENCODED_NUL = "\\u0000"
_PADDING = " \0"

Hmac = Callable[[str], str]
"""Tells equal values apart without showing them."""

_BOOLEANS = {
    **dict.fromkeys(("t", "true", "1", "y", "yes"), True),
    **dict.fromkeys(("f", "false", "0", "n", "no"), False),
}
_POLARS_TYPES = {ColumnType.INTEGER: pl.Int64, ColumnType.BOOLEAN: pl.Boolean}


def normalise(table: SourceTable, raw: pl.DataFrame) -> pl.DataFrame:
    """The table's columns in canonical form, with what could not be read, key and digest beside them.

    `raw` has texts only. Integers and booleans become such; decimals, dates and times stay texts, so that no digit
    is lost; a geometry is hexadecimal WKB. A NUL at the end of a text is padding, as a blank is; one within it makes
    the text unreadable, as PostgreSQL has no such text.
    """
    present = raw.select(_text(table, name) for name in table.columns)
    clean = present.select(
        name if _is_canonical(present[name], kind) else _SPELLINGS[kind](pl.col(name))
        for name, kind in table.columns.items()
    )
    encoded = _encoded(table, clean)
    if encoded.str.contains(_ENCODED_NUL, literal=True).any():
        clean = clean.with_columns(_without_nul(name) for name, dtype in clean.schema.items() if dtype == pl.String)
        encoded = _encoded(table, clean)
    fields, values = pl.lit(None, dtype=pl.String), pl.lit(None, dtype=pl.String)
    for name in table.columns:
        if clean[name].null_count() > present[name].null_count():
            is_unreadable = present[name].is_not_null() & clean[name].is_null()
            shown = pl.lit(MASK) if name in table.personal else pl.lit(shown_text(present[name]))
            values = pl.when(is_unreadable).then(shown).otherwise(values)
            fields = pl.when(is_unreadable).then(pl.lit(name)).otherwise(fields)
    return clean.with_columns(
        _key(table).alias(KEY),
        pl.all_horizontal(pl.col(name).is_not_null() for name in table.key).alias(KEY_IS_WHOLE),
        fields.alias(FAULT_FIELD),
        values.alias(FAULT_VALUE),
        encoded,
        pl.Series(DIGEST, digests(encoded), dtype=pl.String),
    )


def shown_text(texts: pl.Series) -> pl.Series:
    """Texts as they can be stored and shown: U+2400, the picture of a NUL, where one is."""
    return texts.str.replace_all(NUL, "\u2400", literal=True)


def digests(encoded: pl.Series) -> list[str]:
    """128 bits of BLAKE2b over each row's canonical JSON, names included."""
    return [blake2b(text.encode(), digest_size=16).hexdigest() for text in encoded]


def images(table: SourceTable, rows: pl.DataFrame, *, hmac: Hmac | None = None) -> pl.Series:
    """Each row as JSON, with names and addresses of people masked, or as the mapping treats them."""
    if not table.personal:
        return rows[WHOLE].alias("image")
    shown = rows.select(
        _shown(table, rows, name, hmac).alias(name) if name in table.personal else name for name in table.columns
    )
    return shown.select(pl.struct(pl.all()).struct.json_encode().alias("image")).to_series()


def personal_images(table: SourceTable, rows: pl.DataFrame) -> pl.Series:
    """What is personal of each row as JSON, for the record of owners alone; null where nothing is."""
    names = [name for name in table.personal if table.personal_as.get(name) != "drop"]
    if not names:
        return pl.Series("personal", [None] * rows.height, dtype=pl.String)
    anything = pl.any_horizontal(pl.col(name).is_not_null() for name in names)
    return rows.select(pl.when(anything).then(pl.struct(names).struct.json_encode()).alias("personal")).to_series()


def _shown(table: SourceTable, rows: pl.DataFrame, name: str, hmac: Hmac | None) -> pl.Expr:
    """What an image has of a personal value: three asterisks, a keyed hash, or nothing."""
    treatment = table.personal_as.get(name, "mask")
    if treatment == "drop":
        return pl.lit(None, dtype=pl.String)
    if treatment == "hmac":
        if hmac is None:
            raise ValueError(f"there is no key to make codes of {table.name}.{name}")
        return pl.lit(rows[name].cast(pl.String).map_elements(hmac, return_dtype=pl.String))
    return pl.when(pl.col(name).is_not_null()).then(pl.lit(MASK))


def from_images(table: SourceTable, encoded: pl.Series) -> pl.DataFrame:
    """Rows of images that `images` made; what was masked stays masked."""
    fields = {name: _POLARS_TYPES.get(kind, pl.String) for name, kind in table.columns.items()}
    return (
        pl.DataFrame({"image": encoded.cast(pl.String)})
        .select(pl.col("image").str.json_decode(pl.Struct(fields)))
        .unnest("image")
    )


def key_fields(table: SourceTable, row: dict[str, object]) -> dict[str, object]:
    """The key of a row with its names, as Debezium's message key."""
    return {name: row[name] for name in table.key}


def _encoded(table: SourceTable, rows: pl.DataFrame) -> pl.Series:
    return rows.select(pl.struct(list(table.columns)).struct.json_encode().alias(WHOLE)).to_series()


def _without_nul(name: str) -> pl.Expr:
    column = pl.col(name)
    return pl.when(~column.str.contains(NUL, literal=True)).then(column)


def _text(table: SourceTable, name: str) -> pl.Expr:
    column = pl.col(name).str.strip_chars_end(_PADDING)
    if table.columns[name] is not ColumnType.TEXT:
        column = column.str.strip_chars()
        column = pl.when(column != "").then(column)
    if meaningless := table.null_values.get(name):
        column = pl.when(~column.is_in(meaningless)).then(column)
    return column.alias(name)


def _is_canonical(column: pl.Series, kind: ColumnType) -> bool:
    """Whether nothing needs doing; most decimals of a CAMA system are whole dollars."""
    if kind is ColumnType.TEXT:
        return True
    return kind is ColumnType.DECIMAL and bool(column.str.contains(r"^(0|-?[1-9]\d*)$").all(ignore_nulls=True))


def _integer(column: pl.Expr) -> pl.Expr:
    return column.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)


def _boolean(column: pl.Expr) -> pl.Expr:
    return column.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)


def _date(column: pl.Expr) -> pl.Expr:
    return column.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(pl.String)


def _geometry(column: pl.Expr) -> pl.Expr:
    digits = column.str.to_uppercase().str.strip_prefix("\\X")
    return pl.when(digits.str.contains(r"^([0-9A-F]{2})+$")).then(digits)


def _decimal(column: pl.Expr) -> pl.Expr:
    is_scientific = column.str.contains(r"^[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+$")
    expanded = column.cast(pl.Float64, strict=False).cast(pl.Decimal(38, 15), strict=False).cast(pl.String)
    plain = (
        pl.when(is_scientific)
        .then(expanded)
        .otherwise(column)
        .str.replace(r"^([+-]?)\.", "${1}0.")
        .str.strip_prefix("+")
        .str.replace(r"^(-?)0+(\d)", "${1}${2}")
        .str.replace(r"^(-?\d+\.\d*?)0+$", "${1}")
        .str.replace(r"\.$", "")
        .replace("-0", "0")
    )
    return pl.when(plain.str.contains(r"^-?\d+(\.\d+)?$")).then(plain)


def _timestamp(column: pl.Expr) -> pl.Expr:
    full = pl.when(column.str.len_chars() == 10).then(column + "T00:00:00").otherwise(column.str.replace(" ", "T"))
    plain = full.str.replace(r"(\.\d*?)0+$", "${1}").str.replace(r"\.$", "")
    readable = plain.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False).is_not_null()
    return pl.when(readable & plain.str.contains(r"^[^.+Z]{19}(\.\d+)?$")).then(plain)


_SPELLINGS: dict[ColumnType, Callable[[pl.Expr], pl.Expr]] = {
    ColumnType.INTEGER: _integer,
    ColumnType.DECIMAL: _decimal,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.DATE: _date,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.GEOMETRY: _geometry,
}


def _key(table: SourceTable) -> pl.Expr:
    """The key's parts with `/` between them; a slash inside a part is escaped."""
    parts = []
    for name in table.key:
        part = pl.col(name).cast(pl.String)
        if table.columns[name] is ColumnType.TEXT:
            part = part.str.replace_all("%", "%25", literal=True).str.replace_all("/", "%2F", literal=True)
        parts.append(part.fill_null(""))
    return pl.concat_str(parts, separator="/")
