import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.byte_ranges import RangeNotSatisfiableError, parse


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-499", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        (None, None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("rows=0-1", None),
        ("bytes=a-b", None),
    ],
)
def test_ranges_of_a_hundred_bytes(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse(header, size=100) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)])
def test_bytes_that_are_not_there(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse(header, size=size)


@given(st.text(max_size=30), st.integers(0, 1000))
def test_a_range_is_always_within_the_file(header: str, size: int) -> None:
    try:
        found = parse("bytes=" + header, size=size)
    except RangeNotSatisfiableError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size
