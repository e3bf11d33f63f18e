"""Slows down guessing: a name and address may fail so often in a while, then it has to wait."""

from collections import OrderedDict


class LoginThrottle:
    """Counts the attempts of each key in a sliding window; forgets the oldest keys when there are too many."""

    def __init__(self, *, attempts: int, window_seconds: float, keys: int = 10_000) -> None:
        self._attempts = attempts
        self._window_seconds = window_seconds
        self._keys = keys
        self._known: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def attempt(self, key: tuple[str, str], *, now: float) -> float:
        """Count an attempt before it is made; the seconds to wait instead, or 0.

        Counted beforehand, so that attempts made side by side do not pass together.
        """
        recent = [moment for moment in self._known.pop(key, []) if now - moment < self._window_seconds]
        self._known[key] = recent
        if len(self._known) > self._keys:
            self._known.popitem(last=False)
        if len(recent) >= self._attempts:
            return self._window_seconds - (now - recent[0])
        recent.append(now)
        return 0.0

    def forget(self, key: tuple[str, str]) -> None:
        """The attempt succeeded: start counting anew."""
        self._known.pop(key, None)
