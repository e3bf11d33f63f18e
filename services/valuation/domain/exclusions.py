"""Why sales near a property are not among its comparables."""

from typing import Any

import numpy as np

from services.valuation.domain.comparables import FAR_RESIDUAL, Comparables, ground_of, log_parts
from services.valuation.domain.location import meters_between
from services.valuation.domain.properties import Properties
from services.valuation.domain.similarity import similarity

LOOKED_AT = 12


def exclusions(found: Comparables, subject: Properties, chosen: set[str]) -> list[dict[str, Any]]:
    """The nearest sales on the ground that were not chosen, each with its reason, nearest first.

    `own_sale`, `price_unexplained` (its characteristics do not explain its price), `newer_sale_of_parcel`, or
    `less_similar` with the similarity and the aspect that makes most of the difference.
    """
    sales = found.groundwork.sales
    plane = found.groundwork.hedonic.plane
    apart = np.linalg.norm(plane.meters(sales.properties) - plane.meters(subject), axis=1)
    near = np.argsort(apart, kind="stable")[: LOOKED_AT + len(chosen)]
    candidates = {sale: row for row, sale in enumerate(found.sales.sale_id)}
    others = [int(row) for row in near if sales.sale_id[row] not in chosen][:LOOKED_AT]
    distance = meters_between(subject, sales.properties, np.array([others], dtype=np.int64).reshape(1, -1))[0]
    return [
        {
            "sale_id": sales.sale_id[row],
            "parcel_id": sales.properties.parcel_id[row],
            "sale_date": str(sales.sale_date[row].astype("datetime64[D]")),
            "distance_meters": None if np.isnan(meters) else float(meters),
            **_why(found, subject, row, candidates.get(sales.sale_id[row])),
        }
        for row, meters in zip(others, distance, strict=True)
    ]


def _why(found: Comparables, subject: Properties, row: int, candidate: int | None) -> dict[str, Any]:
    hedonic = found.groundwork.hedonic
    if found.groundwork.sales.properties.parcel_id[row] == subject.parcel_id[0]:
        return {"reason": "own_sale"}
    if abs(hedonic.residual[row]) > FAR_RESIDUAL * hedonic.sigma:
        return {"reason": "price_unexplained"}
    if candidate is None:
        return {"reason": "newer_sale_of_parcel"}
    at = np.array([candidate])
    differences = log_parts(found.groundwork, subject, found.learned) - found.parts[at]
    aspects = found.aspects(differences, ground_of(found.groundwork, subject) - found.ground[at], at)
    total = np.sqrt(sum((aspect**2 for aspect in aspects.values()), np.zeros(1)))
    largest = max(aspects, key=lambda name: float(aspects[name][0]))
    return {"reason": "less_similar", "similarity": float(similarity(total)[0]), "largest_difference": largest}
