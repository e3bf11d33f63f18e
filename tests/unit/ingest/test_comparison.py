"""Two systems beside each other, field by field."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.comparison import Comparison, compared_fields

money = st.none() | st.integers(0, 400).map(lambda cents: cents / 4)
parcel = st.none() | st.fixed_dictionaries({"total_value_usd": money, "zoning": st.none() | st.sampled_from("AB")})


@given(st.lists(st.tuples(parcel, parcel)))
def test_every_parcel_and_field_is_counted_once(pairs: list[tuple[Any, Any]]) -> None:
    comparison = Comparison(["total_value_usd", "zoning"], {"total_value_usd": 1})
    rows = [(str(n), left, right) for n, (left, right) in enumerate(pairs) if left is not None or right is not None]
    found = comparison.add(rows)
    assert sum(comparison.parcels[name] for name in ("compared", "only_left", "only_right")) == len(rows)
    assert comparison.parcels["compared"] == comparison.parcels["equal"] + comparison.parcels["differing"]
    for name, count in comparison.fields.items():
        assert comparison.parcels["compared"] == count.compared == count.equal + count.differing
        both = [(left[name], right[name]) for _, left, right in rows if left is not None and right is not None]
        assert count.empty == both.count((None, None))
        assert count.differing == len([one for one in found if one.field == name])
    sums = [one for one in found if one.field == "total_value_usd" and None not in (one.left, one.right)]
    expected = sum(one.right - one.left for one in sums)
    assert float(comparison.fields["total_value_usd"].difference_sum or 0) == expected


def test_differences_up_to_the_tolerance_are_none() -> None:
    comparison = Comparison(["land_area_sqft"], {"land_area_sqft": 50})
    assert comparison.add([("1", {"land_area_sqft": 100.0}, {"land_area_sqft": 150.0})]) == []
    found = comparison.add([("2", {"land_area_sqft": 100.0}, {"land_area_sqft": 151.0})])
    assert [(one.parcel_id, one.field) for one in found] == [("2", "land_area_sqft")]
    assert comparison.summary()["fields"]["land_area_sqft"]["difference_sum"] == "51.0"


def test_personal_fields_are_never_compared() -> None:
    assert compared_fields(["zoning", "attributes.contact"], ["attributes.contact"], None) == ["zoning"]
    assert compared_fields(["zoning", "geometry"], [], ["geometry"]) == ["geometry"]
