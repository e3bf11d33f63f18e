"""What every calculation asks of the columns it is given."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraisal.errors import (
    ArgumentOutOfRangeError,
    LengthMismatchError,
    NotNumericError,
    ValueNotPositiveError,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Interval = tuple[float, float]


def to_floats(name: str, values: ArrayLike) -> Floats:
    """An array of floating-point numbers, or a refusal where something in it is no number at all."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise NotNumericError(f"{name} must hold numbers only") from error


def to_positive(name: str, values: ArrayLike) -> Floats:
    """One column of finite numbers above zero, or a refusal that names the first bad row."""
    column = to_floats(name, values)
    if column.ndim != 1:
        raise LengthMismatchError(f"{name} must be one column, not {column.ndim}-dimensional")
    bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
    if bad.size:
        raise ValueNotPositiveError(name, int(bad[0]), float(column[bad[0]]))
    return column


def require_same_length(**columns: NDArray[np.generic]) -> None:
    """Refuse columns that cannot describe the same sales."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise LengthMismatchError(f"columns differ in length: {lengths}")


def require_confidence(confidence: float) -> None:
    """Refuse a confidence level that is not strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise ArgumentOutOfRangeError(f"confidence must be between 0 and 1, not {confidence}")
