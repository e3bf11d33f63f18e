"""What makes up a value, line by line in whole cents: the lines add up to the value exactly.

Every way of valuing says the logarithm of its value as a sum: what the typical property sells for (`base`), what
the regression makes of each characteristic and of the place, what sales around add, what the trees add by
feature (exact tree SHAP), and what the comparable sales brought beyond what their characteristics explain. The
product is told as a sum of dollars by the logarithmic mean (Ang's LMDI decomposition): exact, without a
residual, whatever the order of the lines. Ways of valuing are weighed as the blend weighs them, since all begin
at the same base; `calibration` is what level and equity correction add to the blend.

Cents are given out by largest remainders, so that rounding needs no line of its own. The trees add in single
precision; that last millionth stands in the base.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.valuation.domain.boosting import Boosting
from services.valuation.domain.comparables import Comparables
from services.valuation.domain.evidence import Groundwork
from services.valuation.domain.features import SALES_AROUND, WHOLE
from services.valuation.domain.network import Learned, Network
from services.valuation.domain.properties import FloatArray, IntArray, Properties
from services.valuation.domain.regression import KrigedRegression

BASE, CALIBRATION = "base", "calibration"
COMPARABLE_SALES = "comparable_sales"


class Valuing(Protocol):
    """A fitted way of valuing."""

    def predict(self, properties: Properties) -> FloatArray:
        """Value in USD."""


@dataclass(frozen=True)
class Itemised:
    """Lines by properties, in whole cents; each property's lines add up to its value."""

    lines: tuple[str, ...]
    cents: IntArray

    def documents(self) -> list[dict[str, float]]:
        """For each property USD by line; lines of nothing are left out, the base always stands."""
        return [
            {line: cents / 100 for line, cents in zip(self.lines, row, strict=True) if cents or line == BASE}
            for row in self.cents.tolist()
        ]


def itemise(
    groundwork: Groundwork,
    members: Mapping[str, Valuing],
    weights: FloatArray,
    properties: Properties,
    value_usd: FloatArray,
) -> Itemised:
    """The lines of values that these weighed ways of valuing gave, calibrated or not."""
    base_usd = float(np.exp(groundwork.hedonic.intercept))
    lines: dict[str, FloatArray] = {BASE: np.zeros(len(properties))}
    mixed = np.zeros(len(properties))
    for member, weight in zip(members.values(), weights, strict=True):
        if not weight:
            continue
        member_usd = member.predict(properties)
        mixed += weight * member_usd
        for line, usd in _in_usd(base_usd, member_usd, _log_parts(groundwork, member, properties)).items():
            lines[line] = lines.get(line, np.zeros(len(properties))) + weight * usd
    if len(members) > 1:
        lines[CALIBRATION] = value_usd - mixed
    usd = np.column_stack([*lines.values()])
    return Itemised(tuple(lines), whole_units(usd * 100, np.rint(value_usd * 100).astype(np.int64)))


def whole_units(parts: FloatArray, total: IntArray) -> IntArray:
    """Rows of parts in whole units that add up to their totals, by largest remainders."""
    whole = np.floor(parts).astype(np.int64)
    missing = total - whole.sum(axis=1)
    order = np.argsort(-(parts - whole), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    count = parts.shape[1]
    shared = np.clip(missing, 0, count)
    whole += rank < shared[:, None]
    whole[:, 0] += missing - shared
    return whole


def _log_parts(groundwork: Groundwork, member: Valuing, properties: Properties) -> dict[str, FloatArray]:
    """By line what adds to the regression's intercept; what is left of the member's value is put by the caller."""
    parts = groundwork.hedonic.contributions(properties)
    if isinstance(member, KrigedRegression):
        return {**parts, SALES_AROUND: groundwork.foretell(properties)[0]}
    if isinstance(member, Boosting):
        return _told(groundwork, properties, member.added_by_trees(properties))
    if isinstance(member, Network):
        return _told(groundwork, properties, {WHOLE: member.added_by_networks(properties)})
    if isinstance(member, Comparables):
        told = (
            {**parts, SALES_AROUND: groundwork.surroundings.level(properties)}
            if member.learned is None
            else _told(groundwork, properties, _added(member.learned, properties))
        )
        whole = np.log(member.predict(properties)) - groundwork.hedonic.intercept
        return {**told, COMPARABLE_SALES: whole - sum(told.values())}
    return parts


def _added(learned: Learned, properties: Properties) -> dict[str, FloatArray]:
    """What trees and networks add in equal parts, by line."""
    added = {line: values / 2 for line, values in learned.boosting.added_by_trees(properties).items()}
    networks = learned.network.added_by_networks(properties) / 2
    return {**added, WHOLE: added.get(WHOLE, np.zeros(len(properties))) + networks}


def _told(groundwork: Groundwork, properties: Properties, added: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Regression and kriging by line, with what was learned beyond them."""
    parts = {**groundwork.hedonic.contributions(properties), SALES_AROUND: groundwork.foretell(properties)[0]}
    for line, log_usd in added.items():
        parts[line] = parts.get(line, np.zeros(len(properties))) + log_usd
    return parts


def _in_usd(base_usd: float, value_usd: FloatArray, parts: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Dollars by line: each log part times the logarithmic mean of base and value; the base has what is left."""
    total = np.log(value_usd / base_usd)
    small = np.abs(total) < 1e-9
    mean_usd = np.where(small, base_usd, (value_usd - base_usd) / np.where(small, 1.0, total))
    usd = {line: mean_usd * part for line, part in parts.items() if line != BASE}
    return {BASE: value_usd - sum(usd.values(), np.zeros(len(value_usd))), **usd}
