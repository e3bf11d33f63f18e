"""The sales that say most about a property by a covariance: some alike and near, some near whatever they are."""

import numpy as np
from scipy.spatial import cKDTree

from services.valuation.domain.kernel import PLACE, TIME, Kernel
from services.valuation.domain.properties import FloatArray, IntArray

ALIKE_SHARE = 0.65
LIKENESS_OF_THE_NEAR = 0.15  # how much likeness counts among the near
LEAF = 64  # sales that are compared one by one: in so many dimensions a finer tree is slower


class Neighborhood:
    """Sales by their coordinates, to be searched in both ways."""

    def __init__(self, kernel: Kernel, coordinates: FloatArray) -> None:
        self.kernel = kernel
        self.count = len(coordinates)
        self.alike = cKDTree(self._alike(coordinates), leafsize=LEAF)
        self.near = cKDTree(self._near(coordinates), leafsize=LEAF)

    def _alike(self, coordinates: FloatArray) -> FloatArray:
        return coordinates * self.kernel.rates

    def _near(self, coordinates: FloatArray) -> FloatArray:
        place = coordinates[:, PLACE] * self.kernel.place_rate
        return np.column_stack([place, self._alike(coordinates)[:, TIME:] * LIKENESS_OF_THE_NEAR])

    def search(self, coordinates: FloatArray, count: int) -> IntArray:
        """Rows of `count` different sales for each of the coordinates, or of all where they are fewer."""
        if count >= self.count:
            return np.broadcast_to(np.arange(self.count), (len(coordinates), self.count))
        many = max(int(count * ALIKE_SHARE), 1)
        alike = self.alike.query(self._alike(coordinates), k=[*range(1, many + 1)])[1]
        near = self.near.query(self._near(coordinates), k=[*range(1, count + 1)])[1]
        again = (near[:, :, None] == alike[:, None, :]).any(axis=2)
        first_new = np.argsort(again, axis=1, kind="stable")[:, : count - many]
        return np.concatenate([alike, np.take_along_axis(near, first_new, axis=1)], axis=1)


def nearest(
    kernel: Kernel, coordinates: FloatArray, asked: FloatArray, count: int, *, own: IntArray | None = None
) -> IntArray:
    """Rows of the sales that say most; with `own` (a row for each asked) never that one itself."""
    if own is None:
        return Neighborhood(kernel, coordinates).search(asked, count)
    found = Neighborhood(kernel, coordinates).search(asked, min(count + 1, len(coordinates)))
    order = np.argsort(found == own[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)[:, :-1]
