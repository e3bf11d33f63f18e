"""Price levels of months by least squares, what the controls explain taken out first (Frisch, Waugh, Lovell)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appraisal.arrays import Floats, Integers, Interval
from appraisal.distributions import student_t_two_sided

NEGLIGIBLE = 1e-9  # share of a column's variation below which the controls explain all of it


@dataclass(frozen=True, kw_only=True)
class MonthIndex:
    """Price level of one month, base month = 100; None where the month's sales are too few to say."""

    month: int
    sales: int
    index: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class MonthLevels:
    """Log price levels of months against a base month, whose level is 0, and their covariance.

    Only months whose level can be told stand here; `degrees` are the degrees of freedom of the residuals.
    """

    base_month: int
    month: Integers
    level: Floats
    covariance: Floats
    degrees: int

    def to_index(
        self, names: Integers, counts: Integers, *, confidence: float, minimum_sales: int
    ) -> tuple[MonthIndex, ...]:
        """The index of each of these months, silent where its sales are too few or its level cannot be told."""
        reach = student_t_two_sided(confidence, degrees=self.degrees) * np.sqrt(np.diag(self.covariance))
        known = {int(name): place for place, name in enumerate(self.month)}
        index = []
        for name, count in zip(names.tolist(), counts.tolist(), strict=True):
            place = known.get(name)
            if name == self.base_month:
                index.append(MonthIndex(month=name, sales=count, index=100.0, interval=None))
            elif place is None or count < minimum_sales:
                index.append(MonthIndex(month=name, sales=count, index=None, interval=None))
            else:
                at, by = self.level[place], reach[place]
                interval = (100 * float(np.exp(at - by)), 100 * float(np.exp(at + by)))
                index.append(MonthIndex(month=name, sales=count, index=100 * float(np.exp(at)), interval=interval))
        return tuple(index)


@dataclass(frozen=True)
class LeastSquares:
    """Coefficients with their covariance; those that are not `told` stand for nothing."""

    coefficient: Floats
    covariance: Floats
    told: NDArray[np.bool_]
    degrees: int


def silent_index(names: Integers, counts: Integers) -> tuple[MonthIndex, ...]:
    """Months with their counts and without a level."""
    return tuple(
        MonthIndex(month=name, sales=count, index=None, interval=None)
        for name, count in zip(names.tolist(), counts.tolist(), strict=True)
    )


def base_month(names: Integers, counts: Integers, minimum_sales: int) -> int | None:
    """The first month with enough sales."""
    enough = counts >= max(1, minimum_sales)
    return int(names[np.argmax(enough)]) if enough.any() else None


def orthonormal_basis(controls: Floats) -> Floats:
    """Independent directions of the controls and the intercept; collinear columns fall together."""
    centered = controls - controls.mean(axis=0)
    lengths = np.linalg.norm(centered, axis=0)
    varies = lengths > NEGLIGIBLE * np.linalg.norm(controls, axis=0)  # a constant is the intercept again
    design = np.column_stack([np.full(len(controls), len(controls) ** -0.5), centered[:, varies] / lengths[varies]])
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis: Floats = left[:, sizes > sizes[0] * max(design.shape) * np.finfo(np.float64).eps]
    return basis


def left_over(basis: Floats, values: Floats) -> Floats:
    """What the controls do not explain of a column or of each column of a matrix."""
    left: Floats = values - basis @ (basis.T @ values)
    return left


def month_levels(basis: Floats, price_left: Floats, months: Integers, base: int) -> MonthLevels | None:
    """Level of every month that has a sale and that the controls do not explain.

    `price_left` is what the basis of the controls leaves of log prices. None where no degree of freedom is left.
    """
    names = np.unique(months)
    others = names[names != base]
    month_left = left_over(basis, (months[:, None] == others).astype(np.float64))
    fit = least_squares(month_left, price_left, spent=basis.shape[1])
    return None if fit is None else to_levels(fit, others, base)


def least_squares(design: Floats, outcome: Floats, *, spent: int = 0) -> LeastSquares | None:
    """Least squares that says which coefficients the design cannot tell; `spent` degrees went before.

    None where no degree of freedom is left.
    """
    sizes, directions = np.linalg.eigh(design.T @ design)
    seen = sizes > NEGLIGIBLE * max(1.0, float(sizes.max(initial=0.0)))
    degrees = len(outcome) - spent - int(seen.sum())
    if degrees < 1:
        return None
    inverse = (directions[:, seen] / sizes[seen]) @ directions[:, seen].T
    coefficient = inverse @ (design.T @ outcome)
    residual = outcome - design @ coefficient
    return LeastSquares(
        coefficient=coefficient,
        covariance=float(residual @ residual) / degrees * inverse,
        told=np.linalg.norm(directions[:, ~seen], axis=1) <= 1e-6,
        degrees=degrees,
    )


def to_levels(fit: LeastSquares, months: Integers, base: int) -> MonthLevels:
    """The coefficients of these months that can be told, as levels against the base month."""
    told = fit.told
    return MonthLevels(
        base_month=base,
        month=months[told],
        level=fit.coefficient[told],
        covariance=fit.covariance[np.ix_(told, told)],
        degrees=fit.degrees,
    )
