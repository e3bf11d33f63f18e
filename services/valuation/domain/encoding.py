"""Characteristics as the terms of a regression, with what was learned from the sales to make them so."""

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from services.valuation.domain.properties import FloatArray, Properties, TextArray

MINIMUM_LEVEL_SALES = 5  # a rarer use, class or condition is treated as the average one
MOST_LEVELS = 60  # of one characteristic: the commonest; the others are treated as the average one
CATEGORIES = {"use": "use_code", "quality": "building_class", "condition": "condition"}
SKEWED = 100.0  # an attribute never negative that reaches this far is taken by its logarithm
LEVEL_PENALTY = 5.0  # a level's effect shrinks by n / (n + 5)
SQUARED = ("living_area", "land_area", "age", "quality")
SALES_FOR_ALL_SQUARES = 500  # from so many sales on every number may bend, not these alone
_NUMBER = re.compile(r"^\d+(\.\d+)?$")


class Form(StrEnum):
    """What a term makes of its characteristic."""

    NUMBER = "number"
    SQUARE = "square"
    MISSING = "missing"
    LEVEL = "level"


@dataclass(frozen=True)
class Term:
    """One column of the regression; `group` is the line of the adjustment grid that it belongs to."""

    name: str
    group: str
    source: str
    form: Form
    level: str = ""
    center: float = 0.0
    scale: float = 1.0
    penalty: float = 1.0


@dataclass(frozen=True)
class Encoding:
    """Terms, and by number the fill value for what is not known and the range sold; as of one year.

    A number outside the range sold counts as the end of the range: nothing is extrapolated.
    """

    year: int
    logged: frozenset[str]
    fill: dict[str, float]
    sold: dict[str, tuple[float, float]]
    terms: tuple[Term, ...]

    def matrix(self, properties: Properties) -> FloatArray:
        """One row per property, one column per term, centred and scaled."""
        numbers = _within(self.numbers(properties), self.sold)
        columns = [_column(properties, numbers, self.fill, term) for term in self.terms]
        center = np.array([term.center for term in self.terms])
        scale = np.array([term.scale for term in self.terms])
        matrix = np.column_stack([np.empty((len(properties), 0)), *columns])
        return np.asarray((matrix - center) / scale, dtype=float)

    def numbers(self, properties: Properties) -> dict[str, FloatArray]:
        """Every numeric characteristic, NaN where not known: what a tree model takes as it is."""
        return _numbers(properties, self.year, self.logged)

    def beyond(self, properties: Properties) -> FloatArray:
        """How far living area and land area lie beyond what was sold, as a log ratio; 0 within."""
        numbers = self.numbers(properties)
        far = np.zeros(len(properties))
        for name in ("living_area", "land_area"):
            low, high = self.sold.get(name, (-np.inf, np.inf))
            excess = np.maximum(low - numbers[name], numbers[name] - high)
            far += np.where(np.isfinite(excess), np.maximum(excess, 0.0), 0.0)
        return far

    def groups(self) -> list[str]:
        """The groups in the order of their first term."""
        return list(dict.fromkeys(term.group for term in self.terms))

    def level_groups(self) -> list[str]:
        """The groups that have levels: what a tree model takes by their effect."""
        return list(dict.fromkeys(term.group for term in self.terms if term.form is Form.LEVEL))


def learn_encoding(sold: Properties, year: int) -> Encoding:
    """The terms that the sold properties can tell apart; a column that is the same for all is left out."""
    logged = frozenset(name for name, values in sold.attributes.items() if _is_skewed(values))
    numbers = _numbers(sold, year, logged)
    known = {name: values[np.isfinite(values)] for name, values in numbers.items()}
    fill = {name: float(np.median(values)) for name, values in known.items() if len(values)}
    ranges = {name: (float(known[name].min()), float(known[name].max())) for name in fill}
    bending = tuple(fill) if len(sold) >= SALES_FOR_ALL_SQUARES else SQUARED
    candidates = [*_number_terms(fill, bending), *_level_terms(sold)]
    terms = (_scaled(term, _column(sold, numbers, fill, term)) for term in candidates)
    kept = tuple(term for term in terms if term is not None)
    return Encoding(year=year, logged=logged, fill=fill, sold=ranges, terms=kept)


def _scaled(term: Term, column: FloatArray) -> Term | None:
    spread = float(np.std(column))
    if spread < 1e-9:
        return None
    if term.form is Form.LEVEL:
        return Term(term.name, term.group, term.source, term.form, term.level, penalty=LEVEL_PENALTY)
    return Term(term.name, term.group, term.source, term.form, center=float(np.mean(column)), scale=spread)


def _is_skewed(values: FloatArray) -> bool:
    return bool(np.nanmax(values, initial=0.0) > SKEWED and np.nanmin(values, initial=0.0) >= 0)


def _numbers(properties: Properties, year: int, logged: frozenset[str]) -> dict[str, FloatArray]:
    """A year after next is not known; an attribute is taken as it is or by its logarithm, as was learned."""
    built, effective = (
        np.where(years > year + 1, np.nan, years) for years in (properties.year_built, properties.effective_year_built)
    )
    effective = np.where(np.isnan(effective), built, effective)
    numbers = {
        "living_area": np.log(properties.living_area_sqft),
        "land_area": np.log(properties.land_area_sqft),
        "age": np.clip(year - effective, 0, 150),
        "years_since_built": np.clip(year - built, 0, 250),
        "bedrooms": np.clip(properties.bedrooms, 0, 8),
        "bathrooms": np.clip(properties.bathrooms, 0, 8),
        "stories": np.clip(properties.stories, 0, 6),
        "quality": _levels_as_numbers(properties.building_class),
        "condition": _levels_as_numbers(properties.condition),
    }
    for name, values in properties.attributes.items():
        numbers[name] = np.log1p(np.maximum(values, 0.0)) if name in logged else values
    return numbers


def _levels_as_numbers(levels: TextArray) -> FloatArray:
    return np.array([float(level) if _NUMBER.match(level) else np.nan for level in levels])


def _number_terms(fill: dict[str, float], bending: tuple[str, ...]) -> list[Term]:
    plain = [Term(name, _group(name), name, Form.NUMBER) for name in fill]
    squares = [Term(f"{name}^2", _group(name), name, Form.SQUARE) for name in bending if name in fill]
    missing = [Term(f"{name}?", _group(name), name, Form.MISSING) for name in fill]
    return [*plain, *squares, *missing]


def _level_terms(sold: Properties) -> list[Term]:
    terms = []
    for group in (*CATEGORIES, *sold.categories):
        levels, counts = np.unique(_levels(sold, group).astype(str), return_counts=True)
        commonest = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        common = sorted(str(levels[at]) for at in commonest if counts[at] >= MINIMUM_LEVEL_SALES)
        terms += [Term(f"{group}={level}", group, group, Form.LEVEL, level) for level in common]
    return terms


def _levels(properties: Properties, group: str) -> TextArray:
    if group in CATEGORIES:
        levels: TextArray = getattr(properties, CATEGORIES[group])
        return levels
    return properties.categories.get(group, np.full(len(properties), "", dtype=object))


def _within(numbers: dict[str, FloatArray], sold: dict[str, tuple[float, float]]) -> dict[str, FloatArray]:
    return {
        name: np.clip(numbers[name], *ends) if name in numbers else np.array([np.nan]) for name, ends in sold.items()
    }


def _column(properties: Properties, numbers: dict[str, FloatArray], fill: dict[str, float], term: Term) -> FloatArray:
    if term.form is Form.LEVEL:
        return np.asarray(_levels(properties, term.source) == term.level, dtype=float)
    values = np.broadcast_to(numbers[term.source], len(properties))
    if term.form is Form.MISSING:
        return np.isnan(values).astype(float)
    filled = np.where(np.isnan(values), fill[term.source], values)
    return (filled - fill[term.source]) ** 2 if term.form is Form.SQUARE else filled


def _group(name: str) -> str:
    return "age" if name == "years_since_built" else name
