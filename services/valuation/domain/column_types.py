"""What a column of texts holds: found out from some rows, and then read in the same way from any others."""

import re
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from services.valuation.domain.properties import NUMBERS, TEXTS

#: names that a line of a value or of the grid has already
TAKEN = frozenset(
    {
        *("sale_price", "sale_date", "sale_id", "parcel_id", *NUMBERS, *TEXTS),
        *("use", "quality", "age", "years_since_built", "living_area", "land_area"),
        *("location", "time", "distance", "model", "particular", "base", "sales_around", "calibration"),
        *("sale_price_usd", "land_value_usd", "improvement_value_usd", "total_value_usd"),
        *("is_qualified", "parcel_count", "decision", "statistics_reason"),
        *("surroundings", "whole_property", "comparables", "comparable_sales", "what_if_factor", "cap"),
    }
)
DATE_FORMATS = (
    *("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%Y/%m/%d", "%m-%d-%Y", "%d.%m.%Y", "%b %d, %Y", "%d-%b-%Y"),
    *("%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%m-%d-%y", "%d-%b-%y", "%B %d, %Y"),  # only where more cells are dates so
)
MOSTLY = 0.95  # of a column's filled cells: enough to tell its type
FEWEST_OF_A_LEVEL = 5
FIRST_YEAR, LAST_YEAR = 1600.0, 2200.0
LARGEST = 1e12  # beyond it stands no measure of a property
SHORTEST_CODE, CLOSE_TOGETHER, ROWS_PER_CODE = 10_000.0, 1.5, 20
_TIME_OF_DAY = re.compile(r"( |T)\d{1,2}:\d{2}.*$|T\d{4}.*$")
_MONEY = r"[$,\s]"
_TRUTH = {"true": "1", "false": "0"}


class Form(StrEnum):
    """What the cells of a column are taken for."""

    NUMBER = "number"
    YEAR = "year"
    DATE = "date"
    TEXT = "text"


@dataclass(frozen=True)
class ColumnType:
    """What a column is taken for; `date_format` is that of its dates."""

    form: Form
    date_format: str = ""

    @property
    def is_text(self) -> bool:
        """Whether its cells are levels, and not numbers."""
        return self.form is Form.TEXT

    def read(self, column: pl.Series) -> pl.Series:
        """Numbers (a date as its year and part of it, year 0 as unknown) or texts; null where a cell holds none."""
        text = stripped(column)
        match self.form:
            case Form.TEXT:
                return text
            case Form.DATE:
                dates = _dates(text, self.date_format)
                return dates.dt.year() + dates.dt.ordinal_day() / 366.0
            case Form.YEAR:
                years = to_measure(text)
                return years.set((years == 0).fill_null(value=False), None)
            case Form.NUMBER:
                return to_measure(text)


def find_type(column: pl.Series) -> ColumnType | None:
    """Numbers, years or dates where nearly all cells are, else texts of which some recur; None: nothing to learn."""
    text = stripped(column)
    filled = text.is_not_null()
    count = int(filled.sum())
    if not count or text.filter(filled).n_unique() == 1 == text.n_unique():
        return None
    numbers = to_measure(text)
    if numbers.is_not_null().sum() >= MOSTLY * count:
        if is_year(numbers):
            return ColumnType(Form.YEAR)
        return ColumnType(Form.TEXT if _is_code(numbers) else Form.NUMBER)
    date_format = _date_format(text)
    if _dates(text, date_format).is_not_null().sum() >= MOSTLY * count:
        return ColumnType(Form.DATE, date_format)
    return ColumnType(Form.TEXT) if recurring(text) else None


def recurring(text: pl.Series) -> dict[str, int]:
    """The levels that five cells or more have, with how many do; the commonest first, of equals by name."""
    counts = text.drop_nulls().alias("level").value_counts(name="cells")
    often = counts.filter(pl.col("cells") >= FEWEST_OF_A_LEVEL).sort("cells", "level", descending=[True, False])
    return dict(often.iter_rows())


def free_name(name: str, source: str) -> str:
    """The name of a column of a source as a line of a value, apart from the lines that are there already."""
    return f"{name} (of the {source})" if name in TAKEN else name


def stripped(column: pl.Series) -> pl.Series:
    """Texts without blanks at their ends; null where nothing is left."""
    text = column.cast(pl.String).str.strip_chars()
    return text.set((text == "").fill_null(value=False), None)


def to_measure(text: pl.Series) -> pl.Series:
    """Numbers, with true as 1 and false as 0; null beyond what a property can measure."""
    numbers = to_number(text.str.to_lowercase().replace(_TRUTH))
    return numbers.set((numbers.abs() > LARGEST).fill_null(value=False), None)


def to_number(column: pl.Series) -> pl.Series:
    """Plain numbers, or money with its sign and commas; null where a cell holds no finite number."""
    plain = column.cast(pl.String).str.replace_all(_MONEY, "")
    numbers = plain.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite().fill_null(value=False), None)


def to_date(column: pl.Series) -> pl.Series:
    """Dates in the one of the usual forms that most cells have; a time of day is dropped."""
    text = column.cast(pl.String).str.strip_chars()
    return _dates(text, _date_format(text))


def is_year(numbers: pl.Series) -> bool:
    """Whether all numbers but 0 (which then means none) are years."""
    given = numbers.filter((numbers != 0).fill_null(value=False))
    return bool(len(given)) and bool((given.is_between(FIRST_YEAR, LAST_YEAR) & (given == given.floor())).all())


def _date_format(text: pl.Series) -> str:
    return min(DATE_FORMATS, key=lambda form: _dates(text, form).null_count())


def _dates(text: pl.Series, date_format: str) -> pl.Series:
    dates = text.str.replace(_TIME_OF_DAY.pattern, "").str.to_date(date_format, strict=False)
    return dates.set((dates.dt.year() < FIRST_YEAR).fill_null(value=False), None)  # 14 is not a year of this era


def _is_code(numbers: pl.Series) -> bool:
    """Whether whole numbers are names, as postal codes are: long, of one length, close together, and recurring."""
    given = numbers.drop_nulls()
    low, high = float(given.min()), float(given.max())  # type: ignore[arg-type]
    alike = low >= SHORTEST_CODE and high < CLOSE_TOGETHER * low and len(f"{low:.0f}") == len(f"{high:.0f}")
    return alike and bool((given == given.floor()).all()) and given.n_unique() * ROWS_PER_CODE <= len(given)
