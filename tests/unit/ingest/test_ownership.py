"""Whose word counts does not depend on who came first."""

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.ownership import Decision, Rules, Said, agree, merge

PAIRS = ("pacs", "gis", "crm")
FIELDS = ("zoning", "land_area_sqft", "geometry")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "zoning": st.none() | st.sampled_from(["R1", "C2"]),
    "land_area_sqft": st.none() | st.sampled_from([100.0, 101.0, 200.0]),
    "geometry": st.none() | st.sampled_from([{"geometry_wkb": w, "longitude": 1.0, "latitude": 2.0} for w in "AB"]),
}


@st.composite
def statements(draw: st.DrawFn) -> list[Said]:
    said = []
    for pair in draw(st.lists(st.sampled_from(PAIRS), unique=True, min_size=1)):
        names = draw(st.lists(st.sampled_from(FIELDS), unique=True))
        is_echo = pair != PAIRS[0] and draw(st.booleans())
        said.append(Said(pair, {name: draw(VALUES[name]) for name in names}, is_echo))
    return said


rules = st.builds(
    Rules,
    st.just(PAIRS),
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(PAIRS)),
    st.dictionaries(st.just("land_area_sqft"), st.sampled_from([0.0, 5.0])),
)
decisions = st.dictionaries(
    st.just("zoning"),
    st.builds(Decision, st.sampled_from(PAIRS), st.dictionaries(st.sampled_from(PAIRS), st.sampled_from(["R1", "C2"]))),
)


@given(rules, statements(), decisions)
def test_the_order_of_arrival_does_not_matter(rule: Rules, said: list[Said], chosen: dict[str, Decision]) -> None:
    first, *others = [merge(rule, list(order), chosen) for order in permutations(said)]
    assert all(other == first for other in others)


@given(rules, statements())
def test_an_owner_that_knows_the_parcel_has_the_last_word(rule: Rules, said: list[Said]) -> None:
    merged = merge(rule, said, {})
    for name, owner in rule.ownership.items():
        for one in said:
            if one.pair == owner and name in one.fields:
                assert merged.values[name] == one.fields[name]
                assert name not in {found.field for found in merged.contradictions}


@given(rules, statements())
def test_what_is_contradicted_is_said_differently_and_owned_by_nobody_there(rule: Rules, said: list[Said]) -> None:
    merged = merge(rule, said, {})
    for name in {name for one in said for name in one.fields}:
        own = [one for one in said if one.fields.get(name) is not None and not one.is_echo]
        has_owner = any(one.pair == rule.ownership.get(name) and name in one.fields for one in said)
        standing = next((one for pair in PAIRS for one in own if one.pair == pair), None)
        tolerance = rule.tolerances.get(name, 0)
        differs = standing is not None and not all(
            agree(standing.fields[name], one.fields[name], tolerance) for one in own
        )
        assert (name in {found.field for found in merged.contradictions}) == (differs and not has_owner)


@given(rules, statements())
def test_no_value_is_made_up_and_none_is_lost(rule: Rules, said: list[Said]) -> None:
    for name, value in merge(rule, said, {}).values.items():
        there = [one.fields[name] for one in said if name in one.fields]
        assert value in there
        if name not in rule.ownership:
            assert (value is None) == all(one is None for one in there)


def test_a_choice_stands_until_a_candidate_says_something_else() -> None:
    rule = Rules(PAIRS)
    said = [Said("pacs", {"zoning": "R1"}), Said("gis", {"zoning": "C2"})]
    found = merge(rule, said, {}).contradictions[0]
    chosen = {"zoning": Decision("gis", found.candidates)}
    decided = merge(rule, said, chosen)
    assert (decided.values, decided.contradictions) == ({"zoning": "C2"}, ())
    moved = merge(rule, [said[0], Said("gis", {"zoning": "C3"})], chosen)
    assert moved.values == {"zoning": "R1"}
    assert [c.candidates for c in moved.contradictions] == [{"pacs": "R1", "gis": "C3"}]


def test_an_echo_contradicts_nobody_and_counts_where_nobody_speaks() -> None:
    rule = Rules(PAIRS)
    echo = Said("gis", {"zoning": "C2"}, is_echo=True)
    assert merge(rule, [Said("pacs", {"zoning": "R1"}), echo], {}).contradictions == ()
    assert merge(rule, [Said("pacs", {"zoning": None}), echo], {}).values == {"zoning": "C2"}
