"""Why no study can be made."""

from collections.abc import Mapping


class MarketRefusedError(Exception):
    """Raised where no study can be made; `code` is stable, `details` holds the counts behind it."""

    def __init__(self, code: str, message: str, details: Mapping[str, object]) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details)
