"""Why a report cannot be made of what was asked."""

from collections.abc import Mapping
from typing import Any


class ReportRefusedError(ValueError):
    """The rows do not carry the report; `code` is stable, the message is for a person."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details or {})
