"""Why a valuation could not be made."""

from collections.abc import Mapping
from typing import Any


class ValuationRefusedError(Exception):
    """Raised where no honest value can be given; `code` is stable, `details` holds the counts behind it."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details)

    def __reduce__(self) -> tuple[type["ValuationRefusedError"], tuple[str, str, dict[str, Any]]]:
        """A refusal in another process arrives as it was raised."""
        return type(self), (self.code, str(self), self.details)
