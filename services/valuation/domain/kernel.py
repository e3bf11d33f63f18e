"""How alike two sales' prices are, beyond what the regression explains: by place, characteristics and time.

A sum of three exponential covariances: one that needs likeness in everything, one of place alone, and one of
likeness over a wide area. Each characteristic has a rate of its own (automatic relevance determination), so
that what does not matter does not count.
"""

from dataclasses import dataclass

import numpy as np

from services.valuation.domain.hedonic import Hedonic
from services.valuation.domain.properties import FloatArray, Properties

PLACE, TIME = slice(0, 2), 2  # columns of the coordinates; characteristics follow
MOST_CHARACTERISTICS = 16
WIDE_LIKENESS = 0.25  # of the squared rates, in the covariance over a wide area
DAYS_PER_YEAR = 365.25
_TINY = 1e-12


@dataclass(frozen=True)
class Axes:
    """Which characteristics make coordinates, and their middle and spread among the sales."""

    numbers: tuple[str, ...]
    levels: tuple[str, ...]
    center: FloatArray
    spread: FloatArray

    def coordinates(self, hedonic: Hedonic, properties: Properties, day: FloatArray | None = None) -> FloatArray:
        """Kilometres east and north, years (none: the valuation date), and characteristics in spreads."""
        years = np.zeros(len(properties)) if day is None else day / DAYS_PER_YEAR
        likeness = (characteristics(hedonic, properties, self.numbers, self.levels) - self.center) / self.spread
        return np.column_stack([hedonic.plane.meters(properties) / 1000.0, years, likeness])


@dataclass(frozen=True)
class Kernel:
    """The covariance of log prices; `rates` per unit of each coordinate, amplitudes and noise as variances."""

    axes: Axes
    amplitudes: FloatArray
    noise: float
    rates: FloatArray
    place_rate: float
    wide_rate: float

    def covariance(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Covariances of batches of coordinates (batch, n, d) and (batch, m, d), without the noise."""
        middle = second.mean(axis=1, keepdims=True)
        first, second = first - middle, second - middle
        apart = _squared(first[..., PLACE], second[..., PLACE])
        unlike = _squared(first[..., TIME:] * self.rates[TIME:], second[..., TIME:] * self.rates[TIME:])
        near = _squared(first[..., PLACE] * self.rates[PLACE], second[..., PLACE] * self.rates[PLACE])
        alike, place, wide = self.amplitudes
        return np.asarray(
            alike * np.exp(-np.sqrt(near + unlike))
            + place * np.exp(-self.place_rate * np.sqrt(apart))
            + wide * np.exp(-np.sqrt(WIDE_LIKENESS * unlike + self.wide_rate**2 * apart))
        )


def choose_axes(hedonic: Hedonic, sold: Properties) -> Axes:
    """The characteristics that the regression gives most weight to, and those that have levels."""
    parts = hedonic.contributions(sold)
    weight = {name: float(np.std(parts[_line(name)])) for name in hedonic.encoding.fill if _line(name) in parts}
    numbers = tuple(sorted(weight, key=lambda name: (-weight[name], name))[:MOST_CHARACTERISTICS])
    levels = tuple(hedonic.encoding.level_groups())
    values = characteristics(hedonic, sold, numbers, levels)
    spread = values.std(axis=0)
    return Axes(numbers, levels, values.mean(axis=0), np.where(spread > 1e-9, spread, np.inf))


def characteristics(
    hedonic: Hedonic, properties: Properties, numbers: tuple[str, ...], levels: tuple[str, ...]
) -> FloatArray:
    """Numbers within the range sold, and what the regression makes of levels."""
    encoding = hedonic.encoding
    parts = hedonic.contributions(properties)
    known = encoding.numbers(properties)
    columns = [np.zeros((len(properties), 0))]
    for name in numbers:
        values = np.broadcast_to(known.get(name, np.array([np.nan])), len(properties))
        filled = np.where(np.isnan(values), encoding.fill[name], values)
        columns.append(np.clip(filled, *encoding.sold[name])[:, None])
    columns += [parts[group][:, None] for group in levels if group in parts]
    return np.concatenate(columns, axis=1)


def _line(name: str) -> str:
    return "age" if name == "years_since_built" else name


def _squared(first: FloatArray, second: FloatArray) -> FloatArray:
    """Squared distances within each of a batch of point sets."""
    across = first @ second.transpose(0, 2, 1)
    lengths = (first**2).sum(-1)[:, :, None] + (second**2).sum(-1)[:, None, :]
    return np.asarray(np.maximum(lengths - 2 * across, _TINY))
