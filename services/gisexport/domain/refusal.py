"""The one way an export says no."""

from typing import Any


class ExportRefusedError(Exception):
    """An export that cannot be made as asked; `code` is stable, trying again does not help."""

    def __init__(self, code: str, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or {}
