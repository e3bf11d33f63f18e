import json
import logging
import sys

from chassis.logs import LineFormatter


def line_of(error: BaseException) -> dict[str, str]:
    try:
        raise error
    except type(error):
        record = logging.LogRecord("chassis", logging.ERROR, __file__, 1, "it broke", None, sys.exc_info())
    record.created = 1_700_000_000.123
    formatted: dict[str, str] = json.loads(LineFormatter("%(asctime)s %(message)s").format(record))
    return formatted


def test_a_line_has_its_time_in_utc() -> None:
    assert line_of(ValueError("x"))["asctime"] == "2023-11-14T22:13:20.123Z"


def test_an_exception_is_told_without_its_text() -> None:
    line = line_of(ValueError("Jane Doe, 1 Main Street"))
    assert "Jane" not in json.dumps(line)
    assert line["exc_info"].startswith("ValueError\n")
    assert "line_of" in line["exc_info"]
