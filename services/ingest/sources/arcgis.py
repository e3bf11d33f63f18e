"""Asks an ArcGIS REST service, which answers many errors as if they were successes."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from chassis.errors import PermanentError, TransientError

_ATTEMPTS = 6
_LONGEST_WAIT_SECONDS = 60.0
_OVERLOADED = {429, 500, 502, 503, 504}
_FORBIDDEN = {401, 403, 498, 499}
"""498 and 499 are ArcGIS' own: the token is invalid, or there has to be one."""


class _AgainError(Exception):
    """Worth another try, perhaps not before `wait_seconds`."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@dataclass
class ArcGis:
    """A service at a URL; the token travels in the body of a post, where no log sees it."""

    client: httpx.Client
    url: str
    token: str | None = None
    first_wait_seconds: float = 1.0
    wait: Callable[[float], None] = time.sleep
    answered_at: datetime | None = field(default=None, init=False)
    """The server's clock at its last answer."""

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """What the service answers; tries again with growing waits where it is overloaded.

        Raises:
            PermanentError: `source_forbidden`, `source_refused`.
            TransientError: `source_unavailable`.
        """
        form = {"f": "json", **parameters} | ({"token": self.token} if self.token else {})
        seconds, reason = self.first_wait_seconds, ""
        for attempt in range(_ATTEMPTS):
            try:
                return self._ask(path, form)
            except _AgainError as error:
                reason = str(error)
                if attempt < _ATTEMPTS - 1:
                    asked = error.wait_seconds or 0
                    self.wait(min(max(asked, seconds * random.uniform(0.5, 1)), _LONGEST_WAIT_SECONDS))
                    seconds *= 2
        raise TransientError("source_unavailable", f"the feature service did not answer: {reason}")

    def _ask(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        try:
            response = self.client.post(f"{self.url}{path}", data=form)
        except httpx.TransportError as error:
            raise _AgainError(type(error).__name__) from error
        self.answered_at = _date(response) or self.answered_at
        _judge(response.status_code, f"HTTP {response.status_code}", response)
        try:
            answer = response.json()
        except ValueError:
            raise _AgainError("an answer that is no JSON") from None
        if not isinstance(answer, dict):
            raise _AgainError("an answer that is no object")
        if refusal := answer.get("error"):
            code = int(refusal.get("code", 500))
            _judge(code, f"error {code}: {refusal.get('message', '')}", response)
            raise PermanentError("source_refused", f"the feature service refuses: error {code}")
        return answer


def _judge(code: int, reason: str, response: httpx.Response) -> None:
    if code in _FORBIDDEN:
        raise PermanentError("source_forbidden", f"the feature service lets us not in: {reason}")
    if code in _OVERLOADED:
        after = response.headers.get("Retry-After", "")
        raise _AgainError(reason, float(after) if after.isdecimal() else None)
    if code >= 300:
        raise PermanentError("source_refused", f"the feature service refuses: {reason}")


def _date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
