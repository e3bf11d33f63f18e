"""Student's t and the sign-test ranks, through the incomplete beta function."""

import math

_SMALLEST = 1e-300
_PRECISION = 1e-15
_TERMS = 10_000  # a term count that only a broken argument could need


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Lentz's evaluation of the incomplete beta function's continued fraction (DLMF 8.17.22)."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + step * d)
            c = _away_from_zero(1.0 + step / c)
            fraction *= d * c
        if abs(d * c - 1.0) < _PRECISION:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1 (DLMF 8.17)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, 1 - x) / b


def student_t_two_sided(confidence: float, *, degrees: int) -> float:
    """The t beyond which a share of 1 - confidence lies, both tails together."""
    low, high = 0.0, 1.0
    while _is_below(high, confidence, degrees=degrees):
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if _is_below(middle, confidence, degrees=degrees):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _is_below(t: float, confidence: float, *, degrees: int) -> bool:
    """Whether less than `confidence` lies within t; asked of the smaller side, where no digits cancel."""
    squared = t * t
    if confidence < 0.5:
        return incomplete_beta(0.5, degrees / 2, squared / (degrees + squared)) < confidence
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + squared)) > 1 - confidence


def median_ranks(n: int, confidence: float) -> tuple[int, int] | None:
    """Ranks, counted from 1, of the order statistics that bound the median; None where n is too small.

    Exact sign-test interval: the largest k with P(Binomial(n, 1/2) <= k - 1) <= (1 - confidence) / 2.
    """
    tail = (1 - confidence) / 2
    low, high = 0, n // 2 + 1  # P at rank low is within the tail, at rank high it is not
    while high - low > 1:
        middle = (low + high) // 2
        if incomplete_beta(n - middle + 1, middle, 0.5) <= tail:
            low = middle
        else:
            high = middle
    return (low, n + 1 - low) if low else None
