"""Remembers the last answer, since several models ask the same of the same properties one after another."""

from collections.abc import Callable
from typing import Generic, TypeVar

from services.valuation.domain.properties import Properties

Answer = TypeVar("Answer")


class Remembered(Generic[Answer]):
    """A function of properties that is not computed again for the very object that it was asked about last.

    Safe among threads: question and answer are put in place together. Nobody may change a column in place.
    """

    def __init__(self, compute: Callable[[Properties], Answer]) -> None:
        self._compute = compute
        self._last: tuple[Properties, Answer] | None = None

    def __call__(self, properties: Properties) -> Answer:
        """The answer for these properties."""
        last = self._last
        if last is not None and last[0] is properties:
            return last[1]
        answer = self._compute(properties)
        self._last = (properties, answer)
        return answer
