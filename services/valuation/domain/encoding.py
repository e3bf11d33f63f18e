"""Characteristics as the terms of a regression, with what was learned from the sales to make them so."""

import re
from dataclasses import dataclass

import numpy as np

from services.valuation.domain.properties import FloatArray, Properties, TextArray

MINIMUM_LEVEL_SALES = 5  # a rarer use, class or condition is treated as the average one
CATEGORIES = {"use": "use_code", "quality": "building_class", "condition": "condition"}
_NUMBER = re.compile(r"^\d+(\.\d+)?$")


@dataclass(frozen=True)
class Term:
    """One column of the regression; `group` is the line of the adjustment grid that it belongs to."""

    name: str
    group: str
    center: float
    scale: float
    penalty: float


@dataclass(frozen=True)
class Encoding:
    """Terms, and by number the fill value for what is not known and the range sold; as of one year.

    A number outside the range sold counts as the end of the range: nothing is extrapolated.
    """

    year: int
    fill: dict[str, float]
    sold: dict[str, tuple[float, float]]
    terms: tuple[Term, ...]

    def matrix(self, properties: Properties) -> FloatArray:
        """One row per property, one column per term, centred and scaled."""
        numbers = _within(_numbers(properties, self.year), self.sold)
        columns = [_column(properties, numbers, self.fill, term.name) for term in self.terms]
        center = np.array([term.center for term in self.terms])
        scale = np.array([term.scale for term in self.terms])
        matrix: FloatArray = (np.column_stack(columns) - center) / scale
        return matrix

    def beyond(self, properties: Properties) -> FloatArray:
        """How far living area and land area lie beyond what was sold, as a log ratio; 0 within."""
        numbers = _numbers(properties, self.year)
        far = np.zeros(len(properties))
        for name in ("living_area", "land_area"):
            low, high = self.sold.get(name, (-np.inf, np.inf))
            excess = np.maximum(low - numbers[name], numbers[name] - high)
            far += np.where(np.isfinite(excess), np.maximum(excess, 0.0), 0.0)
        return far

    def groups(self) -> list[str]:
        """The groups in the order of their first term."""
        return list(dict.fromkeys(term.group for term in self.terms))


def learn_encoding(sold: Properties, year: int) -> Encoding:
    """The terms that the sold properties can tell apart; a column that is the same for all is left out."""
    numbers = _numbers(sold, year)
    known = {name: values[np.isfinite(values)] for name, values in numbers.items()}
    fill = {name: float(np.median(values)) for name, values in known.items() if len(values)}
    ranges = {name: (float(known[name].min()), float(known[name].max())) for name in fill}
    names = [*_number_terms(fill), *_level_terms(sold)]
    terms = []
    for name in names:
        column = _column(sold, numbers, fill, name)
        spread = float(np.std(column))
        if spread < 1e-9:
            continue
        if "=" in name:  # a level's effect shrinks by n / (n + 5)
            terms.append(Term(name, _group(name), 0.0, 1.0, 5.0))
        else:
            terms.append(Term(name, _group(name), float(np.mean(column)), spread, 1.0))
    return Encoding(year=year, fill=fill, sold=ranges, terms=tuple(terms))


def raw_numbers(properties: Properties, year: int) -> dict[str, FloatArray]:
    """Every numeric characteristic, NaN where not known: what a tree model takes as it is."""
    return _numbers(properties, year)


def _numbers(properties: Properties, year: int) -> dict[str, FloatArray]:
    built = properties.year_built
    effective = np.where(np.isnan(properties.effective_year_built), built, properties.effective_year_built)
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
        skewed = np.nanmax(values, initial=0.0) > 100 and np.nanmin(values, initial=0.0) >= 0
        numbers[name] = np.log1p(values) if skewed else values
    return numbers


def _levels_as_numbers(levels: TextArray) -> FloatArray:
    return np.array([float(level) if _NUMBER.match(level) else np.nan for level in levels])


def _number_terms(fill: dict[str, float]) -> list[str]:
    squares = [f"{name}^2" for name in ("living_area", "land_area", "age", "quality") if name in fill]
    return [*fill, *squares, *(f"{name}?" for name in fill)]


def _level_terms(sold: Properties) -> list[str]:
    terms = []
    for group, column in CATEGORIES.items():
        levels, counts = np.unique(getattr(sold, column).astype(str), return_counts=True)
        terms += [f"{group}={level}" for level in levels[counts >= MINIMUM_LEVEL_SALES]]
    return terms


def _within(numbers: dict[str, FloatArray], sold: dict[str, tuple[float, float]]) -> dict[str, FloatArray]:
    return {name: np.clip(numbers[name], *ends) for name, ends in sold.items() if name in numbers}


def _column(properties: Properties, numbers: dict[str, FloatArray], fill: dict[str, float], name: str) -> FloatArray:
    if "=" in name:
        group, level = name.split("=", 1)
        return np.asarray(getattr(properties, CATEGORIES[group]) == level, dtype=float)
    if name.endswith("?"):
        return np.isnan(numbers[name[:-1]]).astype(float)
    base = name.removesuffix("^2")
    filled = np.where(np.isnan(numbers[base]), fill[base], numbers[base])
    return (filled - fill[base]) ** 2 if name.endswith("^2") else filled


def _group(name: str) -> str:
    base = re.split(r"[=?^]", name, maxsplit=1)[0]
    return "age" if base == "years_since_built" else base
