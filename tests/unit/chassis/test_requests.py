"""The command of a job says what is to be done, and not what a person wrote beside it."""

from datetime import UTC, datetime
from typing import Any

from chassis.requests import job_requested, without_free_text
from contracts.events.ingest import MASK


def test_persons_own_words_stay_in_the_record() -> None:
    parameters = {"mode": "override", "override": {"parcel_id": "7", "reason": "Mrs. X asked"}, "reason": None}
    row: dict[str, Any] = {
        "county": "benton",
        "id": "01890000-0000-7000-8000-000000000000",
        "kind": "valuation",
        "attempt": 0,
        "parameters": parameters,
        "requested_by": "ann",
        "priority": "normal",
        "deadline": None,
        "traceparent": None,
        "created_at": datetime.now(UTC),
    }
    message = job_requested(row, service="gateway")
    assert "Mrs. X" not in message.body
    assert MASK in message.body
    assert parameters["override"] == {"parcel_id": "7", "reason": "Mrs. X asked"}


def test_nothing_else_is_masked() -> None:
    plain = {"scope": {"parcel_ids": ["1", "2"]}, "factors": [{"percent": 4}], "reason": None}
    assert without_free_text(plain) == plain
    assert without_free_text({"list": [{"reason": "words"}]}) == {"list": [{"reason": MASK}]}
