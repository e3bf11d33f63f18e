"""Properties of which a record says little, or what nobody has heard of."""

import numpy as np
from hypothesis import strategies as st

from services.valuation.domain.properties import Properties

unknown_or = st.none() | st.floats(200.0, 20_000.0)


@st.composite
def strange(draw: st.DrawFn) -> dict[str, object]:
    """What a record may say of a property: known, not known, or never heard of."""
    number = {name: draw(unknown_or) for name in ("land_area_sqft", "year_built", "bedrooms", "bathrooms", "stories")}
    place = draw(st.none() | st.tuples(st.floats(-125.0, -110.0), st.floats(40.0, 50.0)))
    text = {name: draw(st.sampled_from(["", "5", "N1", "unheard of"])) for name in ("neighborhood", "building_class")}
    where = {"longitude": place[0] if place else None, "latitude": place[1] if place else None}
    return {"living_area_sqft": draw(st.floats(200.0, 50_000.0)), **number, **where, **text}


def changed(properties: Properties, row: int, facts: dict[str, object]) -> Properties:
    """One property with other facts about it."""
    subject = properties.take(np.array([row]))
    for name, value in facts.items():
        getattr(subject, name)[0] = np.nan if value is None else value
    return subject
