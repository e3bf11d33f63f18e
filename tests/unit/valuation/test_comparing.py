"""Two runs side by side: every sum is that of its parts."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.valuation_runs import ChangeSummary
from services.valuation.domain.comparing import (
    NOT_KNOWN,
    SCHEMA,
    by,
    histogram,
    in_both,
    largest,
    mover,
    percentiles,
    reasons,
    summarize,
)

cents = st.one_of(st.none(), st.integers(0, 10**10))
pairs = st.lists(
    st.tuples(st.sampled_from(["N1", "N2", None]), st.sampled_from(["11", "91", None]), cents, cents), max_size=40
)


def frame_of(rows: list[tuple[str | None, str | None, int | None, int | None]]) -> pl.DataFrame:
    dollars = [
        (f"p{number}", place, code, *(None if value is None else value / 100 for value in values))
        for number, (place, code, *values) in enumerate(rows)
    ]
    return pl.DataFrame(dollars, schema=SCHEMA, orient="row")


@given(pairs)
def test_the_sums_of_groups_are_those_of_the_whole(rows: list[tuple[str | None, str | None, int, int]]) -> None:
    both = in_both(frame_of(rows))
    whole = summarize(both)
    known = [(one, two) for _, _, one, two in rows if one is not None and two is not None]
    assert whole.parcels == len(known) == whole.increased + whole.decreased + whole.unchanged
    assert round(whole.change_usd * 100) == sum(two - one for one, two in known)
    for name in ("neighborhood", "use_code"):
        groups: list[ChangeSummary] = list(by(both, name).values())
        for part in ("parcels", "increased", "decreased", "unchanged"):
            assert sum(getattr(group, part) for group in groups) == getattr(whole, part)
        for part in ("total_usd", "other_total_usd", "change_usd"):
            assert sum(round(getattr(group, part) * 100) for group in groups) == round(getattr(whole, part) * 100)


@given(pairs)
def test_every_parcel_with_a_change_in_percent_is_in_one_class(rows: list[tuple[None, None, int, int]]) -> None:
    both = in_both(frame_of(rows))
    assert sum(histogram(both).values()) == both["percent"].drop_nulls().len()
    found = list(percentiles(both).values())
    assert found == sorted(found)


@given(pairs, st.integers(0, 5))
def test_the_largest_movers_are_the_largest(rows: list[tuple[None, None, int, int]], count: int) -> None:
    both = in_both(frame_of(rows))
    moved = largest(both, count)
    sizes = sorted((abs(change) for change in both["change"].to_list() if change), reverse=True)
    assert [abs(change) for change in moved["change"].to_list()] == sizes[:count]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(-(10**9), 10**9)),
    st.dictionaries(st.sampled_from("abcd"), st.integers(-(10**9), 10**9)),
    st.booleans(),
)
def test_reasons_add_up_to_the_change(
    first: dict[str, int],
    other: dict[str, int],
    same_model: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    change = sum(other.values()) - sum(first.values())
    said = reasons(
        {name: value / 100 for name, value in first.items()},
        {name: value / 100 for name, value in other.items()},
        change_cents=change,
        same_model=same_model,
    )
    assert sum(round(reason.change_usd * 100) for reason in said) == change
    sizes = [abs(reason.change_usd) for reason in said]
    assert sizes == sorted(sizes, reverse=True)
    assert same_model or {reason.name for reason in said} <= {"model", "what_if_factor", "cap"}


def test_a_group_without_a_name_is_called_so_and_a_zero_has_no_percent() -> None:
    both = in_both(frame_of([(None, "11", 0, 100), ("N1", "11", 100, 150), ("N1", None, None, 5)]))
    assert set(by(both, "neighborhood")) == {NOT_KNOWN, "N1"}
    assert summarize(both).median_change_percent == 50
    assert summarize(both.clear()).change_percent is None
    row = largest(both, 1).row(0, named=True)
    told = mover(row, {"cap": 0.0}, {"what_if_factor": 1.0}, same_model=False)
    assert (told.change_usd, told.change_percent) == (1, None)
    assert [(reason.name, reason.change_usd) for reason in told.reasons] == [("what_if_factor", 1)]


def test_an_edge_is_in_the_class_above_it() -> None:
    both = in_both(frame_of([("N1", "11", 100, 101), ("N1", "11", 100, 40), ("N1", "11", 100, 150)]))
    filled = {name: count for name, count in histogram(both).items() if count}
    assert filled == {"1 to 5": 1, "below -50": 1, "from 50": 1}
