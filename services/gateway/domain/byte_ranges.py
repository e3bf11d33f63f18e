"""Range requests for one file: RFC 9110, section 14; single ranges, as download clients send them."""

import re

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


class RangeNotSatisfiableError(ValueError):
    """The range lies outside the file."""


def parse(header: str | None, *, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the bytes asked for; None where the whole file is the answer.

    A header that is no single byte range is ignored, as the standard says.

    Raises:
        RangeNotSatisfiableError: the file has no such bytes.
    """
    matched = _RANGE.match(header.strip()) if header else None
    if matched is None or matched.group(0) == "bytes=-":
        return None
    first, last = matched.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiableError(f"the file has {size} bytes")
    return start, end
