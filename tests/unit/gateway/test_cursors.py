import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain import cursors

keys = st.lists(st.text(), min_size=1, max_size=3)


@given(keys)
def test_a_cursor_gives_its_key_back(key: list[str]) -> None:
    cursor = cursors.encode(key)
    assert cursors.decode(cursor, parts=len(key)) == key
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")


@given(keys)
def test_a_cursor_of_another_list_is_refused(key: list[str]) -> None:
    with pytest.raises(cursors.CursorInvalidError):
        cursors.decode(cursors.encode(key), parts=len(key) + 1)


@given(st.text(max_size=100))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        key = cursors.decode(text, parts=2)
    except cursors.CursorInvalidError:
        return
    assert len(key) == 2
    assert all(isinstance(part, str) for part in key)


@pytest.mark.parametrize("text", ["", "e30", "WzEsMl0", "bnVsbA", "[[[[", "é"])
def test_json_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(cursors.CursorInvalidError):
        cursors.decode(text, parts=2)
