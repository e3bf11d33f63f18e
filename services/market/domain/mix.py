"""What a sale's price owes to what was sold and where, so that time can be told from mix."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from appraisal.price_trend import indicator_columns, month_number

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOGS = ("living_area_sqft", "land_area_sqft")
ROOMS = ("bedrooms", "bathrooms", "stories")
CATEGORIES = ("building_class", "condition", "use_code")
MINIMUM_LEVEL_SALES = 10
SHRINKAGE = 5.0  # a neighbourhood with n sales keeps n / (n + 5) of its own level
SMALLEST, LARGEST = 1e-3, 1e12  # of any area, count or amount: what is beyond was never measured
YEARS_BUILT_AHEAD = 2  # a house may be sold before it is finished
FAR_RESIDUAL = 4.0  # robust standard deviations: a price that characteristics do not explain
SALES_PER_CONTROL = 10


@dataclass(frozen=True)
class Mix:
    """Sales of a segment with their mix controls.

    `controls` is the design matrix for a price trend; `place` the level of each sale's neighbourhood and
    `expected` what characteristics say of the log price, neighbourhood aside.
    """

    price_usd: FloatArray
    month: IntArray
    neighborhood: NDArray[np.str_]
    controls: FloatArray
    expected: FloatArray
    place: FloatArray
    usable: NDArray[np.bool_]


def learn_mix(sales: pl.DataFrame) -> Mix:
    """The mix of sales: a regression within neighbourhoods with a linear trend beside it (Mundlak).

    `usable` is false for prices far from what their characteristics explain.
    """
    price = sales["sale_price_usd"].to_numpy().astype(float)
    month = month_number(sales["sale_date"].to_numpy())
    names, group = np.unique(sales["neighborhood"].fill_null("").to_numpy().astype(str), return_inverse=True)
    design = _few_enough(_characteristics(sales))
    log_price = np.log(price)
    since = (month - month.mean())[:, None].astype(float)
    coefficients = _within(np.column_stack([design, since]), log_price, group)
    left = log_price - np.column_stack([design, since]) @ coefficients
    level = _levels(left, group, len(names))
    expected = design @ coefficients[:-1]
    residual = left - level[group]
    residual -= np.median(residual)
    spread = max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
    return Mix(
        price_usd=price,
        month=month,
        neighborhood=names[group],
        controls=np.column_stack([design, _levels_of_others(left, group, len(names))]),
        expected=expected,
        place=level[group],
        usable=np.abs(residual) <= FAR_RESIDUAL * spread,
    )


def age_at_sale(sales: pl.DataFrame) -> FloatArray:
    """Calendar years from construction to sale, NaN where not known."""
    age: FloatArray = sales["sale_date"].dt.year().to_numpy() - known_numbers(sales, "year_built")
    return np.maximum(age, 0.0)


def _characteristics(sales: pl.DataFrame) -> FloatArray:
    """The age is that at the sale: an index is of a house that does not grow older."""
    known = [known_numbers(sales, name) for name in LOGS]
    age, rooms = age_at_sale(sales), [known_numbers(sales, name) for name in ROOMS]
    bent = [*(_filled(np.log(values)) for values in known), _filled(age)]
    columns = [*bent, *(column**2 for column in bent), *(_filled(values) for values in rooms)]
    columns += [np.isnan(values).astype(float) for values in (*known, age, *rooms)]
    design = np.column_stack([*columns, *(_indicators(sales, name) for name in CATEGORIES)])
    moving = design.std(axis=0) > 1e-9
    kept: FloatArray = (design[:, moving] - design[:, moving].mean(axis=0)) / design[:, moving].std(axis=0)
    return kept


def _few_enough(design: FloatArray) -> FloatArray:
    """The first controls only (size, land, age) where the sales are too few for all of them."""
    return design[:, : max(1, len(design) // SALES_PER_CONTROL)]


def _filled(values: FloatArray) -> FloatArray:
    """A column with its median where it is not known; centred, so that its square adds a bend only."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    filled = np.where(known, values, np.median(values[known]))
    return np.asarray(filled - filled.mean(), dtype=float)


def known_numbers(sales: pl.DataFrame, name: str) -> FloatArray:
    """A column as numbers, NaN where it is missing or cannot be: no area, a house built after its sale, 1e300."""
    if name not in sales.columns:
        return np.full(sales.height, np.nan)
    values = sales[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    possible = values > 0 if name in {*LOGS, "year_built"} else values >= 0
    if name == "year_built":
        possible &= values <= sales["sale_date"].dt.year().to_numpy() + YEARS_BUILT_AHEAD
    possible &= (values == 0) | ((values >= SMALLEST) & (values <= LARGEST))
    return np.where(possible, values, np.nan)


def _indicators(sales: pl.DataFrame, name: str) -> FloatArray:
    if name not in sales.columns:
        return np.zeros((sales.height, 0))
    labels = sales[name].cast(pl.String).fill_null("").to_numpy().astype(str)
    return indicator_columns(labels, minimum_sales=MINIMUM_LEVEL_SALES)


def _within(design: FloatArray, y: FloatArray, group: IntArray) -> FloatArray:
    """Least squares on differences from the neighbourhoods' means."""
    sales = np.bincount(group).astype(float)
    sums = np.zeros((len(sales), design.shape[1]))
    np.add.at(sums, group, design)
    x = design - (sums / sales[:, None])[group]
    z = y - (np.bincount(group, y) / sales)[group]
    return np.asarray(np.linalg.lstsq(x, z, rcond=1e-8)[0], dtype=float)


def _levels(left: FloatArray, group: IntArray, count: int) -> FloatArray:
    sales = np.bincount(group, minlength=count)
    middle = float(np.median(left))
    return np.asarray(np.bincount(group, left - middle, count) / (sales + SHRINKAGE), dtype=float)


def _levels_of_others(left: FloatArray, group: IntArray, count: int) -> FloatArray:
    """Each sale's neighbourhood level without the sale: a level of its own price would explain that price away."""
    own = left - float(np.median(left))
    sums, sales = np.bincount(group, own, count), np.bincount(group, minlength=count)
    return np.asarray((sums[group] - own) / (sales[group] - 1 + SHRINKAGE), dtype=float)
