"""A proposal which neighbourhoods to treat as one: Ward's clustering of their price levels.

Levels are shrunken towards the average by how little their sales say (empirical Bayes: DerSimonian and Laird
1986 for the spread between neighbourhoods). Two groups are joined at the lowest cost in Ward's sense (1963),
each counting by the precision of its level, and only where they touch: nearest centroids stand for a common
border. Joining ends when every group has enough sales and no two touching groups are alike.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from appraisal.arrays import Floats, Integers, Interval
from appraisal.errors import ArgumentOutOfRangeError, LengthMismatchError, NotNumericError

NEAREST = 5
ALIKE_LOG_DIFFERENCE = 0.02  # levels this close are one for an appraiser, however many sales tell them apart
ALIKE_STANDARD_ERRORS = 1.96
MergeReason = Literal["no_sales", "too_few_sales", "levels_alike"]


@dataclass(frozen=True, kw_only=True)
class NeighborhoodEvidence:
    """A neighbourhood's log price level, mix and time held constant, from its sales; NaN where it has none.

    `longitude` and `latitude` in degrees are of its centre, NaN where not known.
    """

    name: str
    sales: int
    level: float
    longitude: float = float("nan")
    latitude: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Merge:
    """One joining: the group named by its busiest neighbourhood took the other, and why.

    The difference of the two levels in percent has a 95 % interval; None where one has no sale. `touching` is
    None where a place was not known, so that any two could be joined.
    """

    group: str
    joined: str
    reason: MergeReason
    sales: tuple[int, int]
    difference_percent: float | None
    difference_interval: Interval | None
    touching: bool | None


@dataclass(frozen=True, kw_only=True)
class NeighborhoodGroup:
    """Neighbourhoods proposed as one, busiest first; the level is against the average of 100, shrunken."""

    neighborhoods: tuple[str, ...]
    sales: int
    level: float
    has_enough_sales: bool


@dataclass(frozen=True, kw_only=True)
class Regrouping:
    """The proposal and every step to it."""

    groups: tuple[NeighborhoodGroup, ...]
    merges: tuple[Merge, ...]


def propose_groups(
    neighborhoods: list[NeighborhoodEvidence], *, noise: float, minimum_sales: int = 30, nearest: int = NEAREST
) -> Regrouping:
    """Groups of at least `minimum_sales` sales where that can be; `noise` is the standard deviation of a log price.

    Refuses names that repeat (length_mismatch), sales without a level (not_numeric) and a noise that is not
    above zero (argument_out_of_range).
    """
    if len({place.name for place in neighborhoods}) != len(neighborhoods):
        raise LengthMismatchError("a neighbourhood is named twice")
    if any(place.sales > 0 and not np.isfinite(place.level) for place in neighborhoods):
        raise NotNumericError("a neighbourhood with sales has no level")
    if not (np.isfinite(noise) and noise > 0):
        raise ArgumentOutOfRangeError("noise must be a number above zero")
    clusters = _Clusters(sorted(neighborhoods, key=lambda place: (-place.sales, place.name)), noise, nearest)
    merges = []
    while (pair := clusters.cheapest(minimum_sales)) is not None:
        merges.append(clusters.join(*pair, minimum_sales=minimum_sales))
    return Regrouping(groups=clusters.groups(minimum_sales), merges=tuple(merges))


class _Clusters:
    """Clusters by index; a cluster that was joined to another has no pairs any more."""

    def __init__(self, places: list[NeighborhoodEvidence], noise: float, nearest: int) -> None:
        self.places = places
        self.members = [[number] for number in range(len(places))]
        self.sales = np.array([place.sales for place in places], dtype=np.int64)
        level = np.array([place.level for place in places], dtype=np.float64)
        self.level = np.where(self.sales > 0, level, 0.0)
        self.noise = noise
        self.average, self.between = _spread(self.level, self.sales, noise)
        self.pairs, self.is_located = _touching(places, nearest)

    def cheapest(self, minimum_sales: int) -> tuple[int, int] | None:
        """The touching pair that costs least to join, of those that may be."""
        if not len(self.pairs):
            return None
        one, other = self.pairs.T
        first, second = self.sales[one], self.sales[other]
        small = np.minimum(first, second) < minimum_sales
        with np.errstate(divide="ignore"):
            error = self.noise * np.sqrt(1 / np.maximum(first, 0) + 1 / np.maximum(second, 0))
        apart = np.abs(self.level[one] - self.level[other])
        allowed = small | (apart <= np.maximum(ALIKE_LOG_DIFFERENCE, ALIKE_STANDARD_ERRORS * error))
        if not allowed.any():
            return None
        weight = first * second / np.maximum(first + second, 1) / self.noise**2
        shrunken = self._shrunken()
        cost = weight * (shrunken[one] - shrunken[other]) ** 2
        best = np.lexsort((other, one, np.where(allowed, cost, np.inf), ~allowed))[0]
        return int(one[best]), int(other[best])

    def join(self, one: int, other: int, *, minimum_sales: int) -> Merge:
        """Join the cluster with fewer sales to the other; says what was done."""
        kept, gone = (one, other) if self.sales[one] >= self.sales[other] else (other, one)
        merge = self._merge(kept, gone, minimum_sales)
        total = self.sales[kept] + self.sales[gone]
        if total:
            share = self.sales[gone] / total
            self.level[kept] += share * (self.level[gone] - self.level[kept])
        self.sales[kept] = total
        self.sales[gone] = 0
        self.members[kept] += self.members[gone]
        self.members[gone] = []
        pairs = np.where(self.pairs == gone, kept, self.pairs)
        self.pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
        return merge

    def groups(self, minimum_sales: int) -> tuple[NeighborhoodGroup, ...]:
        """The clusters as they stand, dearest first."""
        shrunken = self._shrunken() - self.average
        order = sorted((n for n, names in enumerate(self.members) if names), key=lambda n: (-shrunken[n], n))
        return tuple(
            NeighborhoodGroup(
                neighborhoods=tuple(self.places[member].name for member in sorted(self.members[number])),
                sales=int(self.sales[number]),
                level=100 * float(np.exp(shrunken[number])),
                has_enough_sales=bool(self.sales[number] >= minimum_sales),
            )
            for number in order
        )

    def _shrunken(self) -> Floats:
        kept = self.between * self.sales / (self.between * self.sales + self.noise**2)
        shrunken: Floats = self.average + kept * (self.level - self.average)
        return shrunken

    def _merge(self, kept: int, gone: int, minimum_sales: int) -> Merge:
        sales = int(self.sales[kept]), int(self.sales[gone])
        reason: MergeReason = "no_sales" if not sales[1] else "too_few_sales"
        reason = "levels_alike" if sales[1] >= minimum_sales else reason
        located = [self.is_located[member] for member in (*self.members[kept], *self.members[gone])]
        merge = Merge(
            group=self.places[self.members[kept][0]].name,
            joined=self.places[self.members[gone][0]].name,
            reason=reason,
            sales=sales,
            difference_percent=None,
            difference_interval=None,
            touching=True if all(located) else None,
        )
        if not sales[1]:
            return merge
        apart = float(self.level[gone] - self.level[kept])
        reach = ALIKE_STANDARD_ERRORS * self.noise * float(np.sqrt(1 / sales[0] + 1 / sales[1]))
        low, middle, high = (100 * float(np.expm1(at)) for at in (apart - reach, apart, apart + reach))
        return replace(merge, difference_percent=middle, difference_interval=(low, high))


def _spread(level: Floats, sales: Integers, noise: float) -> tuple[float, float]:
    """Average level, and the variance between neighbourhoods beyond what noise makes (DerSimonian and Laird)."""
    weight = sales / noise**2
    if np.count_nonzero(weight) < 2:
        return float(level[weight > 0].sum()), 0.0
    average = float(weight @ level / weight.sum())
    excess = float(weight @ (level - average) ** 2) - (np.count_nonzero(weight) - 1)
    between = max(0.0, excess / float(weight.sum() - (weight**2).sum() / weight.sum()))
    over = np.where(weight > 0, 1 / (between + 1 / np.maximum(weight, 1e-12)), 0.0)
    return float(over @ level / over.sum()), between


def _touching(places: list[NeighborhoodEvidence], nearest: int) -> tuple[Integers, NDArray[np.bool_]]:
    """Pairs of neighbourhoods, smaller index first, one of which is among the other's nearest.

    One whose place is not known touches those of about its level, or none where it has no sale.
    """
    longitude = np.array([place.longitude for place in places], dtype=np.float64)
    latitude = np.array([place.latitude for place in places], dtype=np.float64)
    is_located = np.isfinite(longitude) & np.isfinite(latitude)
    where = np.flatnonzero(is_located)
    pairs = set()
    if len(where):
        x = longitude[where] * np.cos(np.radians(latitude[where].mean()))
        apart = (x[:, None] - x) ** 2 + (latitude[where][:, None] - latitude[where]) ** 2
        np.fill_diagonal(apart, np.inf)
        for place, order in enumerate(np.argsort(apart, axis=1, kind="stable")[:, : min(nearest, len(where) - 1)]):
            pairs |= {(int(min(where[place], where[to])), int(max(where[place], where[to]))) for to in order}
    by_level = sorted((n for n, place in enumerate(places) if place.sales > 0), key=lambda n: (places[n].level, n))
    for place, number in enumerate(by_level):
        if not is_located[number]:
            around = by_level[max(0, place - nearest) : place + nearest + 1]
            pairs |= {(min(number, to), max(number, to)) for to in around if to != number}
    found = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return found, is_located
