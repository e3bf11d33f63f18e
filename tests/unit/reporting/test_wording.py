import pytest

from services.reporting.domain.document import Cell, Kind
from services.reporting.domain.wording import written, written_level, written_span


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1234567.5, "usd", "1,234,568"),
        (-1234.0, "usd", "\N{MINUS SIGN}1,234"),
        (0.71641, "ratio", "0.716"),
        (9.733, "decimal", "9.73"),
        (0.03, "signed", "+0.030"),
        (-0.0001, "signed", "0.000"),
        (-0.04, "percent", "0.0%"),
        (-4.56, "percent", "\N{MINUS SIGN}4.6%"),
        (2024, "year", "2024"),
        (12345, "integer", "12,345"),
        (None, "usd", "\N{EN DASH}"),
        ("", "text", "\N{EN DASH}"),
        ("=1+1", "text", "=1+1"),
    ],
)
def test_values_are_written_for_readers(value: Cell, kind: Kind, text: str) -> None:
    assert written(value, kind) == text


def test_spans_and_levels() -> None:
    assert written_span(0.9, 1.1, "ratio") == "0.900 to 1.100"
    assert written_span(None, 1.1, "ratio") == "\N{EN DASH}"
    assert [written_level(level) for level in (0.95, 0.9, 0.999)] == ["95%", "90%", "99.9%"]
