"""Revaluing a county: a model per kind of property, every parcel valued or refused with a reason."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from services.valuation.domain.documents import comparable_sales
from services.valuation.domain.evaluation import Accuracy, evaluate
from services.valuation.domain.evidence import learnable_sales
from services.valuation.domain.land import LandShares, learn_land_shares
from services.valuation.domain.models import MODELS, Estimates, FittedModel
from services.valuation.domain.properties import (
    IMPROVED_RESIDENTIAL,
    KINDS,
    OTHER,
    VACANT_LAND,
    Properties,
    TextArray,
)
from services.valuation.domain.refusal import ValuationRefusedError
from services.valuation.domain.sales import Sales
from services.valuation.domain.time_adjustment import TimeAdjustment

WIDEST = 4.0  # a 90 % interval of a quarter to four times the value tells an assessor nothing


@dataclass(frozen=True)
class KindModel:
    """The model of one kind of property, how prices were carried through time, and how good it proved."""

    fitted: FittedModel
    time: TimeAdjustment
    accuracy: Accuracy | None = None


@dataclass(frozen=True)
class CountyModel:
    """Models by kind; a kind without enough sales stands in `refused` with the counts."""

    valuation_date: date
    by_kind: Mapping[str, KindModel]
    refused: Mapping[str, Mapping[str, Any]]
    land_shares: LandShares

    def proven(self, accuracies: Mapping[str, Accuracy]) -> "CountyModel":
        """The same models with what was found out of how good they are, by kind."""
        by_kind = {kind: replace(model, accuracy=accuracies.get(kind)) for kind, model in self.by_kind.items()}
        return replace(self, by_kind=by_kind)

    def main(self) -> KindModel:
        """The model with the most sales behind it."""
        return max(self.by_kind.values(), key=lambda model: len(model.fitted.comparables.sales))


@dataclass(frozen=True)
class ValuedParcels:
    """Rows to store, and the parcels that no model can value with the reason."""

    values: list[dict[str, Any]]
    refused: dict[str, str]


def fit_county(
    sold: Sales,
    *,
    kinds: Iterable[str],
    model: str,
    comparables: int,
    valuation_date: date,
    emphasis: Mapping[str, float] | None = None,
) -> CountyModel:
    """Fit a model for each kind asked for.

    Refuses (`too_few_sales`) when no kind has enough sales, with the counts by kind.
    """
    fitted: dict[str, KindModel] = {}
    refused: dict[str, Mapping[str, Any]] = {}
    for kind, of_kind in _by_kind(sold, kinds):
        try:
            sales, time = learnable_sales(of_kind, valuation_date)
            fitted[kind] = KindModel(MODELS[model].fit(sales, comparables=comparables, emphasis=emphasis), time)
        except ValuationRefusedError as error:
            refused[kind] = {"code": error.code, **error.details}
    if not fitted:
        raise ValuationRefusedError(
            "too_few_sales", "no kind of property in scope has enough usable sales", {"kinds": refused}
        )
    return CountyModel(valuation_date, fitted, refused, learn_land_shares(sold.properties))


def evaluate_county(
    sold: Sales,
    *,
    kinds: Iterable[str],
    model: str,
    comparables: int,
    valuation_date: date,
    emphasis: Mapping[str, float] | None = None,
) -> dict[str, Accuracy]:
    """How good models prove on the newest sales when learned from the older ones; for kinds with enough of both."""
    found = {}
    for kind, of_kind in _by_kind(sold, kinds):
        with suppress(ValuationRefusedError):  # perhaps enough sales for a model, too few to hold some out
            found[kind] = evaluate(
                of_kind, model=model, valuation_date=valuation_date, comparables=comparables, emphasis=emphasis
            )
    return {kind: accuracy for kind, accuracy in found.items() if accuracy is not None}


def _by_kind(sold: Sales, kinds: Iterable[str]) -> Iterator[tuple[str, Sales]]:
    """Each kind asked for, in one order, with its sales."""
    for kind in sorted(set(kinds), key=KINDS.index):
        yield kind, sold.take(sold.properties.kind == kind)


def refusal_reasons(parcels: Properties, kinds: Iterable[str]) -> TextArray:
    """Why each parcel cannot be valued by models of these kinds; "" where it can."""
    no_area, no_land = np.isnan(parcels.living_area_sqft), np.isnan(parcels.land_area_sqft)
    modelled = np.isin(parcels.kind.astype(str), list(kinds))
    reasons = {
        "too_few_sales": ~modelled,
        "living_area_missing": (parcels.kind == IMPROVED_RESIDENTIAL) & no_area,
        "land_area_missing": (parcels.kind == VACANT_LAND) & no_land,
        "characteristics_missing": (parcels.kind == OTHER) & no_area & no_land,
    }
    return np.select(list(reasons.values()), list(reasons), default="").astype(object)


def value_parcels(model: CountyModel, parcels: Properties) -> ValuedParcels:
    """Value parcels; safe to call batch by batch."""
    reasons = refusal_reasons(parcels, model.by_kind)
    values: list[dict[str, Any]] = []
    for kind, kind_model in model.by_kind.items():
        at = np.flatnonzero((parcels.kind == kind) & (reasons == ""))
        if not len(at):
            continue
        subjects = parcels.take(at)
        estimates = kind_model.fitted.estimate(subjects)
        certain = estimates.high_usd <= WIDEST * estimates.value_usd
        reasons[at[~certain]] = "interval_too_wide"
        rows = _rows(model, kind_model.fitted, subjects, estimates)
        values += [row for row, is_certain in zip(rows, certain, strict=True) if is_certain]
    unvalued = np.flatnonzero(reasons != "")
    return ValuedParcels(values, {parcels.parcel_id[row]: reasons[row] for row in unvalued})


def _rows(model: CountyModel, fitted: FittedModel, subjects: Properties, estimates: Estimates) -> list[dict[str, Any]]:
    land = model.land_shares.land_value_usd(subjects, estimates.value_usd)
    found = fitted.comparables
    grids = [comparable_sales(found, batch, grid) for batch, grid in found.grids(subjects)]
    beside = [comparables for batch in grids for comparables in batch]
    contributions = fitted.itemise(subjects, estimates.value_usd).documents()
    return [
        {
            "parcel_id": subjects.parcel_id[row],
            "kind": subjects.kind[row],
            **_money(estimates, row),
            "contributions": contributions[row],
            "land_value_usd": None if np.isnan(land[row]) else float(land[row]),
            "improvement_value_usd": _rest(estimates.value_usd[row], land[row]),
            "confidence": round(float(estimates.confidence[row]), 4),
            "comparables": beside[row],
        }
        for row in range(len(subjects))
    ]


def _money(estimates: Estimates, row: int) -> dict[str, Any]:
    return {
        "value_usd": float(estimates.value_usd[row]),
        "low_usd": float(estimates.low_usd[row]),
        "high_usd": float(estimates.high_usd[row]),
    }


def _rest(value_usd: float, land_usd: float) -> float | None:
    return None if np.isnan(land_usd) else round(float(value_usd - land_usd), 2)
