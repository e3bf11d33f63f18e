"""Lines of values as COPY takes them: whatever a source has in its texts."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.valuation import queries
from services.valuation.value_lines import ValueLines, encode_values

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12)
UNESCAPED = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def row(parcel_id: str, name: str | None = None) -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(queries.VALUE_COLUMNS)
    told = {"living_area": 1.5, str(name): -2.25}
    documents = {"contributions": told, "comparables": [{"sale_id": name}], "flags": ["capped", "interval_wide"]}
    return known | {"parcel_id": parcel_id, "value_usd": 100_000.07} | documents


def decoded(field: str) -> str:
    """As PostgreSQL reads a field of COPY's text format."""
    characters = iter(field)
    return "".join(UNESCAPED[next(characters)] if character == "\\" else character for character in characters)


@given(texts, texts)
def test_every_field_comes_back(parcel_id: str, name: str) -> None:
    encoded = encode_values([row(parcel_id, name), row("other")])
    first, second, nothing = encoded.lines.decode().split("\n")
    fields = dict(zip(queries.VALUE_COLUMNS, first.split("\t"), strict=True))
    assert decoded(fields["parcel_id"]) == parcel_id
    assert json.loads(decoded(fields["comparables"])) == [{"sale_id": name}]
    assert json.loads(decoded(fields["contributions"])) == {"living_area": 1.5, name: -2.25}
    assert (fields["value_usd"], fields["flags"], fields["low_usd"]) == ("100000.07", "{capped,interval_wide}", "\\N")
    assert second.startswith("other\t")
    assert not nothing


def test_counts_and_digest_do_not_depend_on_the_batches() -> None:
    rows = [row(f"p{at}") for at in range(10)]
    whole, parts = ValueLines(), ValueLines()
    lines = whole.add(encode_values(rows))
    assert lines == b"".join(parts.add(encode_values(rows[at : at + 3])) for at in range(0, 10, 3))
    assert whole.counts == parts.counts
    assert (whole.valued, whole.flagged, whole.flags["capped"]) == (10, 10, 10)
