"""Errors with a stable code; the class says whether trying again helps."""

from typing import Any, ClassVar


class TerraFusionError(Exception):
    """An expected refusal. `code` is for programs, the message for people, `details` for both."""

    http_status: ClassVar[int] = 500

    def __init__(self, code: str, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or {}


class TransientError(TerraFusionError):
    """Something outside is in the way now; trying again later may help."""

    http_status = 503


class PostponedError(TransientError):
    """Not now, as was agreed: the job waits so long, which counts neither as a failure nor as a start that failed."""

    def __init__(self, code: str, message: str, *, wait_seconds: float, details: dict[str, Any] | None = None) -> None:
        super().__init__(code, message, details=details)
        self.wait_seconds = wait_seconds


class PermanentError(TerraFusionError):
    """Trying the same again cannot help."""

    http_status = 422


class NotFoundError(PermanentError):
    """What was asked for is not there, or not for this caller to know of."""

    http_status = 404


class UnauthenticatedError(PermanentError):
    """Nobody knows who is calling."""

    http_status = 401


class ForbiddenError(PermanentError):
    """The caller may not do this."""

    http_status = 403


class ConflictError(PermanentError):
    """The state of things does not allow it."""

    http_status = 409


class TooLargeError(PermanentError):
    """The request is larger than the service takes."""

    http_status = 413


class JobStoppedError(Exception):
    """Raised inside a job that has to stop: cancelled, past its deadline, or taken over by another worker."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
