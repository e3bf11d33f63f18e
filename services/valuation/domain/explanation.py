"""A value in the words of a property owner: short sentences whose whole dollars add up to the value.

Nothing personal is told: only what kind of property it is, what it adds up from, and how sure that is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from services.valuation.domain.contributions import BASE, whole_units

FEWEST_DOLLARS = 1
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "base": "a typical property here",
        "living_area": "the size of the home",
        "land_area": "the size of the lot",
        "age": "the age of the home",
        "bedrooms": "the number of bedrooms",
        "bathrooms": "the number of bathrooms",
        "stories": "the number of floors",
        "quality": "the quality of the building",
        "condition": "the condition of the building",
        "use": "what the property is used for",
        "garage_area_sqft": "the size of the garage",
        "gross_area_sqft": "the size of all floors together",
        "fireplaces": "the number of fireplaces",
        "heating": "the kind of heating",
        "style": "the style of the building",
        "subdivision": "the subdivision",
        "location": "where the property is",
        "sales_around": "recent sales nearby and of similar properties",
        "surroundings": "how the property compares with its neighbors",
        "whole_property": "all its features taken together",
        "comparable_sales": "what the most similar properties sold for",
        "time": "the change of prices since the sales",
        "calibration": "the final check against actual sale prices",
        "what_if_factor": "the factor asked for in this trial",
        "cap": "the limit on how much a value may change in a year",
    }
)


UNITS = frozenset({"sqft", "sf", "sqm", "ft", "feet", "acres", "acre", "usd", "percent", "pct", "count", "code", "cd"})
_WORDS = re.compile(r"_+|\s+|(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Line:
    """One cause: its name, its whole dollars and its sentence."""

    name: str
    amount_usd: int
    sentence: str


@dataclass(frozen=True)
class Explanation:
    """Lines, largest first after the base, whose whole dollars add up to `value_usd`."""

    value_usd: int
    lines: tuple[Line, ...]

    @property
    def sentences(self) -> list[str]:
        """What an owner reads, from start to end."""
        return [*(line.sentence for line in self.lines), f"Together this makes ${self.value_usd:,}."]


def explain(contributions: Mapping[str, float], value_usd: float) -> Explanation:
    """The lines of a value in words; USD by line as the run stores them."""
    names = [BASE, *(name for name in contributions if name != BASE)]
    total = round(value_usd)
    parts = np.array([[contributions.get(name, 0.0) for name in names]])
    dollars = dict(zip(names, whole_units(parts, np.array([total]))[0].tolist(), strict=True))
    others = sorted((name for name in names if name != BASE), key=lambda name: (-abs(dollars[name]), name))
    shown = [name for name in others if abs(dollars[name]) >= FEWEST_DOLLARS]
    return Explanation(
        total, tuple(Line(name, dollars[name], _sentence(name, dollars[name])) for name in [BASE, *shown])
    )


def in_words(name: str) -> str:
    """A county's own name of an attribute as one would say it: words apart, without its unit."""
    words = _WORDS.sub(" ", name).split()
    while len(words) > 1 and words[-1].lower() in UNITS:
        words.pop()
    return " ".join(word if word.isupper() else word.lower() for word in words) or "another characteristic"


def _sentence(name: str, usd: int) -> str:
    if name == BASE:
        return f"We start at ${usd:,}, the value of a typical property of this kind here."
    cause = WORDS.get(name) or in_words(name)
    verb, way = ("adds", "") if usd > 0 else ("takes", " away")
    return f"{cause[0].upper()}{cause[1:]} {verb} ${abs(usd):,}{way}."
