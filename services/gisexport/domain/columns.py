"""One column from its catalogue type to the type it has in the file, counting what that changes."""

import pyarrow as pa
import pyarrow.compute as pc

from contracts.catalog import DataType
from services.gisexport.domain.formats import FormatRules, WrittenType
from services.gisexport.domain.plan import ColumnPlan
from services.gisexport.domain.tally import Tally

# XML 1.0, section 2.2: characters that no document may hold, escaped or not.
_NOT_XML = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x{FFFE}\\x{FFFF}]"


def written_arrow_type(written: WrittenType, rules: FormatRules) -> pa.DataType:
    """The Arrow type that makes the driver write this column type."""
    if written is WrittenType.DATETIME:
        return pa.timestamp("us" if rules.datetime_digits is None else "ms", "UTC")
    return {
        WrittenType.TEXT: pa.string(),
        WrittenType.INTEGER: pa.int32(),
        WrittenType.SMALL_INTEGER: pa.int16(),
        WrittenType.DOUBLE: pa.float64(),
        WrittenType.DECIMAL: pa.decimal128(16, 2),
        WrittenType.DATE: pa.date32(),
        WrittenType.BOOLEAN: pa.bool_(),
    }[written]


def convert_column(values: pa.Array, column: ColumnPlan, rules: FormatRules, *, tally: Tally) -> pa.Array:
    """`values` as the file holds them; every changed value is in `tally` under the field's name."""
    if pa.types.is_floating(values.type):
        values = _finite(values, column, tally)
    match column.written_type:
        case WrittenType.TEXT:
            return _limit(_clean(_to_text(values), column, rules, tally), column, rules, tally)
        case WrittenType.DOUBLE if column.field.data_type is DataType.MONEY:
            return _money_to_double(values)
        case WrittenType.DATETIME:
            return _round_datetime(values, column, rules, tally)
        case written:
            return values.cast(written_arrow_type(written, rules))


_CONVERSIONS = {
    (DataType.TIMESTAMP, WrittenType.TEXT): "ISO 8601 text in UTC",
    (DataType.DATE, WrittenType.TEXT): "ISO 8601 text",
    (DataType.BOOLEAN, WrittenType.SMALL_INTEGER): "1 is true, 0 is false",
    (DataType.BOOLEAN, WrittenType.TEXT): "true or false",
    (DataType.MONEY, WrittenType.DOUBLE): "double, exact to the cent",
    (DataType.MONEY, WrittenType.TEXT): "decimal text",
    (DataType.NUMBER, WrittenType.TEXT): "decimal text",
    (DataType.INTEGER, WrittenType.TEXT): "decimal text",
    (DataType.DOCUMENT, WrittenType.TEXT): "JSON text",
}


def conversion(column: ColumnPlan, rules: FormatRules) -> str | None:
    """What is done to the values of this column, in words; None where nothing is."""
    if column.written_type is WrittenType.DATETIME and rules.datetime_digits is not None:
        return "UTC, milliseconds"
    return _CONVERSIONS.get((column.field.data_type, column.written_type))


def _to_text(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        # Through a timestamp without zone: Arrow would ask the system for a zone database, which slim images lack.
        text = values.cast(pa.timestamp("us")).cast(pa.string())
        return pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")
    return values.cast(pa.string())


def _clean(values: pa.Array, column: ColumnPlan, rules: FormatRules, tally: Tally) -> pa.Array:
    if not rules.xml_text:
        return values
    dirty = pc.sum(pc.match_substring_regex(values, _NOT_XML)).as_py() or 0
    tally.count("text_cleaned", dirty, name=column.field.name)
    return pc.replace_substring_regex(values, _NOT_XML, "") if dirty else values


def _limit(values: pa.Array, column: ColumnPlan, rules: FormatRules, tally: Tally) -> pa.Array:
    limit = rules.text_limit_bytes
    if limit is None:
        return values
    too_long = pc.fill_null(pc.greater(pc.binary_length(values), limit), False)
    rows = pc.sum(too_long).as_py() or 0
    if not rows:
        return values
    tally.count("text_truncated", rows, name=column.field.name)
    cut = [value.encode()[:limit].decode(errors="ignore") for value in values.filter(too_long).to_pylist()]
    return pc.replace_with_mask(values, too_long, pa.array(cut, pa.string()))


def _finite(values: pa.Array, column: ColumnPlan, tally: Tally) -> pa.Array:
    infinite = pc.fill_null(pc.invert(pc.is_finite(values)), False)
    rows = pc.sum(infinite).as_py() or 0
    tally.count("number_not_finite", rows, name=column.field.name)
    return pc.if_else(infinite, pa.scalar(None, values.type), values) if rows else values


def _money_to_double(values: pa.Array) -> pa.Array:
    # Whole cents divided by 100 is the double nearest to the decimal; Arrow's own cast may be one bit off.
    cents = pc.multiply(values, pa.scalar(100, pa.decimal128(3, 0))).cast(pa.int64())
    return pc.divide(cents.cast(pa.float64()), 100.0)


def _round_datetime(values: pa.Array, column: ColumnPlan, rules: FormatRules, tally: Tally) -> pa.Array:
    if rules.datetime_digits is None:
        return values
    rounded = values.cast(pa.timestamp("ms", "UTC"), safe=False)
    changed = pc.sum(pc.not_equal(rounded.cast(values.type), values)).as_py() or 0
    tally.count("datetime_rounded", changed, name=column.field.name)
    return rounded
