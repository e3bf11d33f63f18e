"""Remembers the last answer, since several models ask the same of the same properties one after another."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from services.valuation.domain.properties import Properties

Answer = TypeVar("Answer")


class Remembered(Generic[Answer]):
    """A function of properties that is not computed again for the very object that it was asked about last.

    Each thread has its own last one, so that threads at different batches do not make each other forget. Nobody
    may change an answer in place.
    """

    def __init__(self, compute: Callable[[Properties], Answer]) -> None:
        self._compute = compute
        self._of_thread = threading.local()

    def __reduce__(self) -> tuple[type["Remembered[Answer]"], tuple[Callable[[Properties], Answer]]]:
        """Another process remembers for itself."""
        return type(self), (self._compute,)

    def __call__(self, properties: Properties) -> Answer:
        """The answer for these properties."""
        last: tuple[Properties, Answer] | None = getattr(self._of_thread, "last", None)
        if last is not None and last[0] is properties:
            return last[1]
        answer = self._compute(properties)
        self._of_thread.last = (properties, answer)
        return answer
