"""What is to be known of a run's models: data, accuracy on held-out sales, coefficients, how values divide."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.valuation.domain import land
from services.valuation.domain.calibration import COVERAGE
from services.valuation.domain.mass import CountyModel, KindModel


def model_card(model: CountyModel, *, sales_refused: Mapping[str, int], version: str) -> dict[str, Any]:
    """The model card of a run, as JSON."""
    return {
        "code_version": version,
        "valuation_date": model.valuation_date.isoformat(),
        "sales_refused": dict(sales_refused),
        "kinds": {kind: _kind(kind_model) for kind, kind_model in model.by_kind.items()},
        "kinds_refused": {kind: dict(why) for kind, why in model.refused.items()},
        "land_and_improvements": (land.__doc__ or "").strip(),
        "median_assessed_land_share": None
        if model.land_shares.overall != model.land_shares.overall
        else round(model.land_shares.overall, 4),
    }


def holdout(model: CountyModel) -> dict[str, Any] | None:
    """Accuracy of the model with most sales behind it; None where too few sales could be held out."""
    accuracy = model.main().accuracy
    return accuracy.to_json() if accuracy else None


def count_reasons(refused: Mapping[str, str]) -> dict[str, int]:
    """How many parcels were refused for which reason."""
    return dict(sorted(Counter(refused.values()).items()))


def _kind(kind_model: KindModel) -> dict[str, Any]:
    fitted, time = kind_model.fitted, kind_model.time
    hedonic = fitted.comparables.groundwork.hedonic
    sales = fitted.comparables.groundwork.sales
    return {
        "sales": len(sales),
        "first_sale": str(sales.sale_date.min()),
        "last_sale": str(sales.sale_date.max()),
        "accuracy": kind_model.accuracy.to_json() if kind_model.accuracy else None,
        "weights": dict(zip(fitted.members, fitted.weights.round(4).tolist(), strict=True)),
        "level": {"factor": fitted.level.factor, "stretch": fitted.level.stretch},
        "interval": {"coverage": COVERAGE, "reach": fitted.precision.reach},
        "monthly_trend_percent": time.monthly_trend_percent,
        "monthly_trend_interval": time.monthly_trend_percent_interval,
        "time_adjustment_refused": time.reason,
        "hedonic": {
            "intercept": hedonic.intercept,
            "sigma": hedonic.sigma,
            "coefficients": hedonic.readable(),
            "neighborhoods": {name: round(effect, 4) for name, effect in hedonic.neighborhoods.items()},
        },
    }
