"""Which of a county's further attributes its models use: decided from what sold, and read alike everywhere else.

What a county's mapping brings beyond the fixed columns of `ingest.parcel_v1` is used where the sales can tell it
apart. Nothing that repeats a price or an assessed value may be among it: attributes whose names speak of money, or
whose numbers are those of a price or of an assessed value, are left out, and those that a county file names. The
record keeps personal columns out of attributes (`contracts.mapping`); names that speak of owners are left out too.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from services.valuation.domain.column_types import ColumnType, find_type, free_name, recurring, stripped
from services.valuation.domain.encoding import MOST_LEVELS
from services.valuation.domain.properties import FloatArray, Properties, TextArray

COLUMN = "attributes."  # the beginning of an attribute's column in a frame
MOST_CANDIDATES = 60
MOST_ATTRIBUTES = 30
SALES_PER_ATTRIBUTE = 15
MOST_LEVELS_IN_ALL = 120
SALES_PER_LEVEL = 10
KNOWN_SHARE = 0.05
RECURRING_SHARE = 0.5  # of the known texts: less is a list of names
LONGEST_NAME = 63
#: parts of names that speak of money or of people: anywhere, at the beginning of a word, and as a whole word
APART_ANYWHERE = ("value", "price", "assess", "apprais", "market", "mortgage", "exempt", "owner")
APART_BEGINNINGS = ("tax", "cost", "sale", "sold", "deed", "transfer", "usd", "dollar", "valuation")
APART_WORDS = frozenset({"val", "vals", "av", "fmv", "mkt"})
SAME_AMOUNT, REPEATED_SHARE, LEAST_AMOUNT_USD = 0.001, 0.1, 1_000.0
_AMOUNTS = ("sale_price_usd", "total_value_usd", "land_value_usd", "improvement_value_usd")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, kw_only=True)
class AttributeRules:
    """What a county file says: attributes never to use, and those to use whatever their names speak of."""

    ignored: Sequence[str] = ()
    used: Sequence[str] = ()


@dataclass(frozen=True)
class Candidates:
    """Attributes to look at, and how many were left out for which reason."""

    keys: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Attribute:
    """An attribute of the record, its name as a line of a value, and what its cells are taken for."""

    key: str
    name: str
    type: ColumnType

    @property
    def column(self) -> str:
        """Its column in a frame."""
        return COLUMN + self.key


@dataclass(frozen=True)
class Attributes:
    """The attributes that models use, the most often known first, and how many were left out for which reason."""

    used: tuple[Attribute, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Their names in the record."""
        return tuple(attribute.key for attribute in self.used)

    def typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with these attributes' columns of texts read as numbers or levels, and no other attribute's."""
        read = [attribute.type.read(frame[attribute.column]) for attribute in self.used]
        others = [name for name in frame.columns if not name.startswith(COLUMN)]
        named = zip(read, self.used, strict=True)
        return frame.select(others).with_columns(column.alias(attribute.column) for column, attribute in named)

    def onto(self, properties: Properties, typed: pl.DataFrame) -> Properties:
        """The properties with the attributes of a frame that `typed` made, row by row."""
        numbers = {one.name: _numbers(typed[one.column]) for one in self.used if not one.type.is_text}
        texts = {one.name: _levels(typed[one.column]) for one in self.used if one.type.is_text}
        return replace(properties, attributes=numbers, categories=texts)

    def card(self) -> dict[str, Any]:
        """What a model card says of them."""
        by_form = {"numbers": False, "texts": True}
        names = {form: [one.key for one in self.used if one.type.is_text is text] for form, text in by_form.items()}
        return {**names, "left_out": dict(self.left_out)}


NO_ATTRIBUTES = Attributes()


def candidates(known: Mapping[str, int], rules: AttributeRules) -> Candidates:
    """Of attributes with how many sold parcels have each, those that may be used: the most often known first."""
    left_out: Counter[str] = Counter()
    open_keys: list[str] = []
    for key in sorted(known, key=lambda key: (-known[key], key)):
        reason = _closed(key, rules)
        if reason is None and len(open_keys) == MOST_CANDIDATES:
            reason = "too_many"
        if reason is None:
            open_keys.append(key)
        else:
            left_out[reason] += 1
    return Candidates(tuple(open_keys), _sorted(left_out))


def choose(candidates: Candidates, sold: pl.DataFrame) -> Attributes:
    """The attributes that these sales can tell apart, from a column of texts for each candidate.

    At most 30, and one for every 15 sales; of texts those whose levels are together at most 120, and one for every
    10 sales. Left out are `ignored` (by the county), `by_name` (money, owners), `name_unusable`, `rarely_known`
    (under 5 %), `tells_nothing` (the same for all), `hardly_recurs`, `repeats_value` (amounts of money), `too_many`.
    """
    left_out = Counter(candidates.left_out)
    columns = {key: stripped(sold[COLUMN + key]) for key in candidates.keys}
    known = {key: int(column.count()) for key, column in columns.items()}
    room = min(MOST_ATTRIBUTES, sold.height // SALES_PER_ATTRIBUTE)
    levels = min(MOST_LEVELS_IN_ALL, sold.height // SALES_PER_LEVEL)
    used: dict[str, Attribute] = {}
    for key in sorted(known, key=lambda key: (-known[key], key)):
        attribute, reason = _judged(key, columns[key], sold)
        taken = min(len(recurring(columns[key])), MOST_LEVELS) if attribute and attribute.type.is_text else 0
        if attribute is None:
            left_out[reason] += 1
        elif len(used) >= room or taken > levels or attribute.name in used:
            left_out["too_many"] += 1
        else:
            levels -= taken
            used[attribute.name] = attribute
    return Attributes(tuple(used.values()), _sorted(left_out))


def _judged(key: str, column: pl.Series, sold: pl.DataFrame) -> tuple[Attribute | None, str]:
    known = int(column.count())
    if known < max(KNOWN_SHARE * sold.height, 1):
        return None, "rarely_known"
    kind = find_type(column)
    if kind is None:
        return None, "tells_nothing" if column.n_unique() == 1 else "hardly_recurs"
    if kind.is_text and sum(recurring(column).values()) < RECURRING_SHARE * known:
        return None, "hardly_recurs"
    if not kind.is_text and _repeats_value(kind.read(column), sold):
        return None, "repeats_value"
    return Attribute(key, free_name(key, "record"), kind), ""


def _closed(key: str, rules: AttributeRules) -> str | None:
    if key in rules.ignored:
        return "ignored"
    if not key.strip() or len(key) > LONGEST_NAME or not key.isprintable():
        return "name_unusable"
    return "by_name" if key not in rules.used and _is_apart(key) else None


def _is_apart(key: str) -> bool:
    words = [word.lower() for word in _WORD.findall(key)]
    return (
        any(part in key.lower() for part in APART_ANYWHERE)
        or any(word.startswith(APART_BEGINNINGS) for word in words)
        or not APART_WORDS.isdisjoint(words)
    )


def _repeats_value(numbers: pl.Series, sold: pl.DataFrame) -> bool:
    """Whether a tenth of the numbers are, to a thousandth, the price or the assessed value of the same row."""
    large = numbers >= LEAST_AMOUNT_USD
    for amount in (sold[name].cast(pl.Float64) for name in _AMOUNTS if name in sold.columns):
        same = int((large & ((numbers / amount - 1).abs() <= SAME_AMOUNT)).sum())
        if same >= max(REPEATED_SHARE * int(numbers.is_not_null().sum()), 1):
            return True
    return False


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _numbers(column: pl.Series) -> FloatArray:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()


def _levels(column: pl.Series) -> TextArray:
    """Each level is kept once, however many parcels have it."""
    once: dict[str, str] = {}
    texts = column.fill_null("").to_list()
    return np.array(list(map(once.setdefault, texts, texts)), dtype=object)
