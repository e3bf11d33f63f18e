"""How odd a price is beside the prices of its kind and place, by a regression that odd prices do not move."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from appraisal.arrays import Floats, Integers
from appraisal.sale_findings import Finding, beyond

MINIMUM_KIND_SALES = 30
MINIMUM_PLACE_SALES = 5  # without so many of its place a price is judged by its kind alone, and says so
ODD_Z = 3.5  # Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers
PLACE_PRIOR_SALES = 4.0  # a level of a place or class is drawn towards its kind's as if by so many sales
SPREAD_PRIOR_SALES = 15.0  # the same of the spread of its prices
LEAST_SPREAD = 0.05  # of a log price: no market is narrower
ROUNDS = 12
CELL_SALES = 40
DEED_TYPE_SALES = 20
DEED_DISCOUNT = 0.10  # of a log price
DEED_CERTAINTY = 4.0  # standard errors
_GROUPS = ("neighborhood", "building_class", "condition")
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class PriceScrutiny:
    """By sale: what its kind and place let one expect, and how far its price is from that; NaN where nobody knows.

    `residual` is the log of price over expected price, `robust_z` the same in robust standard deviations of the
    place; `place_sales` are the sales of its kind in its place that were learnt from.
    """

    expected_price_usd: Floats
    residual: Floats
    robust_z: Floats
    place_sales: Integers

    def findings(self, sales: pl.DataFrame) -> list[Finding]:
        """The prices that are too far off to be the market's."""
        odd = np.flatnonzero(np.abs(np.nan_to_num(self.robust_z)) >= ODD_Z)
        return [self._finding(sales, int(row)) for row in odd]

    def _finding(self, sales: pl.DataFrame, row: int) -> Finding:
        z, residual = float(self.robust_z[row]), float(self.residual[row])
        return Finding(
            sale_id=sales["sale_id"][row],
            reason="price_too_high" if z > 0 else "price_too_low",
            strength=beyond(ODD_Z, abs(z)),
            figures={
                "expected_price_usd": round(float(self.expected_price_usd[row])),
                "price_over_expected": round(float(np.exp(residual)), 4),
                "robust_z": round(z, 2),
                "place_sales": int(self.place_sales[row]),
                "compared_within": "place" if self.place_sales[row] >= MINIMUM_PLACE_SALES else "kind",
            },
        )


def scrutinize_prices(sales: pl.DataFrame, *, judged: Mask, learned: Mask) -> PriceScrutiny:
    """Compare the judged prices with a hedonic regression on the learned ones, kind by kind.

    Log price on log areas, age and time, with levels of neighbourhood, grade, condition and place on the map
    drawn towards their kind's, by iterated weights that leave far prices out (Tukey's biweight). A kind with
    fewer than 30 learned sales is not judged. Needs sale_price_usd above zero where judged, sale_date, kind; the other
    columns are used where present.
    """
    count = sales.height
    found = PriceScrutiny(
        expected_price_usd=np.full(count, np.nan),
        residual=np.full(count, np.nan),
        robust_z=np.full(count, np.nan),
        place_sales=np.zeros(count, dtype=np.int64),
    )
    kind = np.array(sales["kind"].fill_null("").to_list(), dtype=object)
    for name in sorted(set(kind[judged])):
        rows = np.flatnonzero(judged & (kind == name))
        if learned[rows].sum() >= MINIMUM_KIND_SALES:
            _judge(sales[rows], learned[rows], rows, found)
    return found


def find_discounted_deeds(sales: pl.DataFrame, scrutiny: PriceScrutiny) -> list[Finding]:
    """Sales by a type of deed whose prices lie below the market's as a whole, such as a county's foreclosures.

    At least 20 sales, a median at least 10 % below what was expected, by four standard errors or more; of those
    the sales whose own price is below.
    """
    known = np.isfinite(scrutiny.residual)
    deeds = np.array(sales["deed_type"].fill_null("").to_list(), dtype=object)
    found: list[Finding] = []
    for deed in sorted(set(deeds[known]) - {""}):
        rows = np.flatnonzero(known & (deeds == deed))
        residual = scrutiny.residual[rows]
        median = float(np.median(residual))
        error = 1.2533 * _spread(residual - median) / np.sqrt(len(rows))
        if len(rows) < DEED_TYPE_SALES or median > -DEED_DISCOUNT or median > -DEED_CERTAINTY * error:
            continue
        figures = {"deed_type": deed, "deed_type_sales": len(rows), "deed_type_median": round(float(np.exp(median)), 4)}
        strength = beyond(DEED_DISCOUNT, -median)
        found += [
            Finding(sale_id=sale_id, reason="deed_type_below_market", strength=strength, figures=figures)
            for sale_id in sales["sale_id"].gather(rows[residual <= -DEED_DISCOUNT]).to_list()
        ]
    return found


def _judge(sales: pl.DataFrame, learned: Mask, rows: Integers, found: PriceScrutiny) -> None:
    y = np.log(sales["sale_price_usd"].to_numpy().astype(float))
    x = _terms(sales)
    groups = [_codes(sales, name) for name in _GROUPS if name in sales.columns]
    groups.append(_cells(sales, learned))
    levels = [np.zeros(group.max() + 1) for group in groups]
    place = groups[0] if groups else np.zeros(len(y), dtype=np.int64)
    weight = learned.astype(float)
    fitted, residual = np.zeros(len(y)), y
    for _ in range(ROUNDS):
        fitted = _regress(x, y - _sum_of(levels, groups), weight)
        for at, group in enumerate(groups):
            left = y - fitted - _sum_of(levels, groups) + levels[at][group]
            levels[at] = _drawn(left, group, weight, PLACE_PRIOR_SALES)
        residual = y - fitted - _sum_of(levels, groups)
        weight = np.where(learned, _biweight(residual / _spread(residual[learned])), 0.0)
    sold = np.bincount(place[learned], minlength=place.max() + 1)
    between = float(np.average(levels[0] ** 2, weights=np.maximum(sold, 1e-9))) if levels else 0.0
    unsure = between * PLACE_PRIOR_SALES / (PLACE_PRIOR_SALES + sold[place])
    z = residual / np.sqrt(_spread_by_place(residual, place, learned)[place] ** 2 + unsure)
    found.expected_price_usd[rows] = np.exp(y - residual)
    found.residual[rows], found.robust_z[rows] = residual, z
    found.place_sales[rows] = sold[place]


def _terms(sales: pl.DataFrame) -> Floats:
    """Standardised columns; a number that is not known is the middle one, and a column says so."""
    day = sales["sale_date"].cast(pl.Date).to_numpy().astype("datetime64[D]").astype(np.int64).astype(float)
    years = (day - day.max()) / 365.25
    terms = [years, years**2, years**3]
    for name in ("living_area_sqft", "land_area_sqft"):
        area = _numbers(sales, name)
        log_area = np.log(np.where(area > 0, area, np.nan))
        terms += [log_area, log_area**2]
    built = _numbers(sales, "year_built")
    age = np.clip(1970 + day / 365.25 - np.where(built > 0, built, np.nan), 0, 150)
    terms += [age, age**2]
    columns = [np.ones(len(day))]
    for term in terms:
        known = np.isfinite(term)
        spread = np.std(term[known]) if known.any() else 0.0
        if spread < 1e-9:
            continue
        columns.append((np.where(known, term, np.median(term[known])) - np.mean(term[known])) / spread)
        if not known.all():
            columns.append((~known).astype(float))
    return np.column_stack(columns)


def _numbers(sales: pl.DataFrame, name: str) -> Floats:
    if name not in sales.columns:
        return np.full(sales.height, np.nan)
    return sales[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()


def _codes(sales: pl.DataFrame, name: str) -> Integers:
    return sales[name].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def _cells(sales: pl.DataFrame, learned: Mask) -> Integers:
    """Cells of the map with about 40 learned sales each, halved along the longer side; all unplaced sales are one."""
    across, up = _numbers(sales, "longitude"), _numbers(sales, "latitude")
    placed = np.isfinite(across) & np.isfinite(up)
    points = np.column_stack([across * np.cos(np.radians(np.median(up[placed]) if placed.any() else 0.0)), up])
    cell = np.zeros(len(points), dtype=np.int64)
    waiting, made = [np.flatnonzero(placed)], 0
    while waiting:
        rows = waiting.pop()
        known = points[rows[learned[rows]]]
        if len(known) >= 2 * CELL_SALES:
            side = int(np.argmax(np.ptp(known, axis=0)))
            low = points[rows, side] <= np.median(known[:, side])
            if 0 < low.sum() < len(rows):
                waiting += [rows[low], rows[~low]]
                continue
        made += 1
        cell[rows] = made
    return cell


def _regress(x: Floats, y: Floats, weight: Floats) -> Floats:
    weighted = x * weight[:, None]
    ridge = 1e-6 * max(float(weight.sum()), 1.0) * np.eye(x.shape[1])
    fitted: Floats = x @ np.linalg.solve(x.T @ weighted + ridge, weighted.T @ y)
    return fitted


def _sum_of(levels: list[Floats], groups: list[Integers]) -> Floats | float:
    return sum((level[group] for level, group in zip(levels, groups, strict=True)), start=0.0)


def _drawn(values: Floats, group: Integers, weight: Floats, prior: float) -> Floats:
    """Weighted means by group, drawn towards none."""
    size = int(group.max()) + 1
    total = np.bincount(group, weight * values, minlength=size)
    level: Floats = total / (np.bincount(group, weight, minlength=size) + prior)
    return level


def _biweight(z: Floats) -> Floats:
    return np.where(np.abs(z) < 4.685, (1 - (z / 4.685) ** 2) ** 2, 0.0)


def _spread(residual: Floats) -> float:
    return max(1.4826 * float(np.median(np.abs(residual))), LEAST_SPREAD)


def _spread_by_place(residual: Floats, place: Integers, learned: Mask) -> Floats:
    """The robust standard deviation of each place, drawn towards that of all."""
    common = _spread(residual[learned])
    size = int(place.max()) + 1
    by_place = (
        pl.DataFrame({"place": place[learned], "residual": np.abs(residual[learned])})
        .group_by("place")
        .agg(pl.col("residual").median(), pl.len().alias("sales"))
    )
    spread = np.full(size, common)
    at, sales = by_place["place"].to_numpy(), by_place["sales"].to_numpy()
    own = 1.4826 * by_place["residual"].to_numpy()
    pooled = (SPREAD_PRIOR_SALES * common**2 + sales * own**2) / (SPREAD_PRIOR_SALES + sales)
    spread[at] = np.maximum(np.sqrt(pooled), LEAST_SPREAD)
    return spread
