from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import PermanentError
from services.gateway.domain import cursors
from services.gateway.paging import cut, moment, position

names = st.text(max_size=5)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-8))]))
numbers = st.floats(allow_nan=False)


@given(st.lists(st.tuples(moments, st.uuids(), numbers, names), max_size=5), st.integers(1, 5))
def test_a_page_goes_on_after_the_last_row_of_the_one_before(
    keys: list[tuple[datetime, UUID, float, str]], limit: int
) -> None:
    rows = [dict(zip(("at", "id", "strength", "name"), key, strict=True)) for key in keys]
    page, following = cut(rows[: limit + 1], limit, "at", "id", "strength", "name")  # type: ignore[arg-type]
    assert page == rows[:limit]
    assert (following is None) == (len(rows) <= limit)
    if following is not None:
        assert position(following, moment, UUID, float, str) == keys[limit - 1]


def test_no_cursor_is_the_start() -> None:
    assert position(None, str) is None


@pytest.mark.parametrize(
    "key",
    [
        ("2026-01-01T00:00:00+00:00", "not-an-id"),
        ("yesterday", "00000000-0000-0000-0000-000000000000"),
        ("0001-01-01T00:00:00+14:00", "00000000-0000-0000-0000-000000000000"),
        ("2026-01-01T00:00:00+00:00",),
    ],
)
def test_what_is_no_place_in_the_list_is_refused(key: tuple[str, ...]) -> None:
    with pytest.raises(PermanentError) as refused:
        position(cursors.encode(key), moment, UUID)
    assert refused.value.code == "cursor_invalid"
