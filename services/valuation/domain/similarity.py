"""How alike two properties are, from 0 to 1, and which of their differences takes how much of it."""

from collections.abc import Mapping

import numpy as np

from services.valuation.domain.contributions import whole_units
from services.valuation.domain.properties import FloatArray

AS_UNLIKE = 0.2  # dissimilarity (a log price difference) at which similarity has fallen to 1 / e
SCORE_UNITS = 10_000


def similarity(dissimilarity: FloatArray) -> FloatArray:
    """1 for alike, falling by exp(-d / 0.2); four decimals."""
    return np.asarray(np.exp(-dissimilarity / AS_UNLIKE).round(4), dtype=float)


def similarity_lost(aspects: Mapping[str, FloatArray], dissimilarity: FloatArray) -> dict[str, FloatArray]:
    """What each aspect takes from a similarity of 1: with the similarity they add up to 1, in ten-thousandths.

    Squares of the aspects add up to the square of the dissimilarity, and so each has its share, in no order.
    """
    squares = np.stack([aspect.ravel() ** 2 for aspect in aspects.values()], axis=1)
    lost = np.rint((1 - similarity(dissimilarity)) * SCORE_UNITS).astype(np.int64).ravel()
    share = squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-300)
    units = whole_units(share * lost[:, None], lost)
    return {name: units[:, at].reshape(dissimilarity.shape) / SCORE_UNITS for at, name in enumerate(aspects)}
