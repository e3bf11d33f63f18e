"""What the models are measured against: a linear regression, boosting by its defaults, the plain nearest sales.

They take the prices as they were paid and the characteristics as they stand, with the date of sale among them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.spatial import cKDTree
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.valuation.domain.encoding import CATEGORIES, MINIMUM_LEVEL_SALES, Encoding, learn_encoding
from services.valuation.domain.properties import FloatArray, IntArray, Properties, TextArray
from services.valuation.domain.sales import Sales

Predictor = Callable[[Sales], FloatArray]
NEAREST = 5
PLACE_SHARE = 2.0  # of place among the characteristics, in spreads


def linear(train: Sales) -> Predictor:
    """Ordinary least squares of log price on characteristics, coordinates and indicators of neighbourhoods."""
    encoding = learn_encoding(train.properties, _year(train))
    names = _common(train.properties.neighborhood)

    def design(sales: Sales) -> FloatArray:
        dummies = sales.properties.neighborhood[:, None] == names[None, :]
        return np.column_stack([np.ones(len(sales)), encoding.matrix(sales.properties), dummies.astype(float)])

    coefficients = np.linalg.lstsq(design(train), np.log(train.price_usd), rcond=1e-8)[0]
    low, high = np.log(train.price_usd).min(), np.log(train.price_usd).max()
    return lambda sales: np.asarray(np.exp(np.clip(design(sales) @ coefficients, low - 1, high + 1)))


def boosting_default(train: Sales) -> Predictor:
    """Histogram gradient boosting of log price with every default (LightGBM's kind of trees, 100 of them)."""
    encoding = learn_encoding(train.properties, _year(train))
    levels = _level_codes(train.properties)
    trees = HistGradientBoostingRegressor(random_state=0)
    with threadpool_limits(limits=1, user_api="openmp"):
        trees.fit(_plain(encoding, levels, train), np.log(train.price_usd))
    return lambda sales: np.asarray(np.exp(trees.predict(_plain(encoding, levels, sales))), dtype=float)


def nearest_comparables(train: Sales) -> Predictor:
    """The mean price per square foot, or price, of the five sales nearest by place and standardised numbers."""
    encoding = learn_encoding(train.properties, _year(train))
    area = train.properties.living_area_sqft
    per_area = bool(np.isfinite(area).all())
    price = train.price_usd / area if per_area else train.price_usd
    raw = _place_and_numbers(encoding, train.properties)
    center, spread = raw.mean(axis=0), np.where(raw.std(axis=0) > 1e-9, raw.std(axis=0), np.inf)

    def position(properties: Properties) -> FloatArray:
        standard = (_place_and_numbers(encoding, properties) - center) / spread
        standard[:, :2] *= PLACE_SHARE
        return np.asarray(standard)

    tree = cKDTree(position(train.properties))

    def predict(sales: Sales) -> FloatArray:
        count = min(NEAREST, len(train))
        rows: IntArray = tree.query(position(sales.properties), k=[*range(1, count + 1)])[1]
        mean = price[rows].mean(axis=1)
        size = sales.properties.living_area_sqft
        return np.asarray(mean * np.where(np.isfinite(size), size, np.nanmedian(area)) if per_area else mean)

    return predict


BASELINES: Mapping[str, Callable[[Sales], Predictor]] = MappingProxyType(
    {"linear": linear, "boosting_default": boosting_default, "nearest_comparables": nearest_comparables}
)


def _year(sales: Sales) -> int:
    return int(sales.sale_date.max().astype("datetime64[Y]").astype(np.int64)) + 1970


def _common(names: TextArray) -> TextArray:
    levels, counts = np.unique(names.astype(str), return_counts=True)
    return np.asarray(levels[counts >= MINIMUM_LEVEL_SALES][1:], dtype=object)


def _place_and_numbers(encoding: Encoding, properties: Properties) -> FloatArray:
    numbers = encoding.numbers(properties)
    filled = [
        np.where(np.isnan(numbers.get(name, np.array(np.nan))), fill, numbers.get(name, fill))
        for name, fill in encoding.fill.items()
    ]
    place = [np.nan_to_num(values, nan=0.0) for values in (properties.longitude, properties.latitude)]
    columns = [np.broadcast_to(values, len(properties)) for values in (*place, *filled)]
    return np.column_stack(columns)


def _texts(properties: Properties) -> dict[str, TextArray]:
    own = {name: getattr(properties, name) for name in (*CATEGORIES.values(), "neighborhood")}
    return {**own, **properties.categories}


def _level_codes(sold: Properties) -> dict[str, dict[str, int]]:
    return {
        name: {str(level): code for code, level in enumerate(np.unique(values.astype(str)))}
        for name, values in _texts(sold).items()
    }


def _plain(encoding: Encoding, levels: dict[str, dict[str, int]], sales: Sales) -> FloatArray:
    numbers = encoding.numbers(sales.properties)
    unknown = np.full(len(sales), np.nan)
    texts = _texts(sales.properties)
    coded = [
        np.array([codes.get(str(level), np.nan) for level in texts.get(name, np.full(len(sales), ""))], dtype=float)
        for name, codes in levels.items()
    ]
    day = sales.sale_date.astype("datetime64[D]").astype(float)
    place = [sales.properties.longitude, sales.properties.latitude]
    table = np.column_stack([*(numbers.get(name, unknown) for name in encoding.fill), *coded, *place, day])
    return np.where(np.isnan(table).all(axis=0), 0.0, table)  # a column of nothing has no bins
