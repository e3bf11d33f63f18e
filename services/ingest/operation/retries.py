"""Trying again what a source refused for the moment: a few times within the run, then in another start of its job."""

import random
from collections.abc import Callable
from typing import TypeVar

from chassis.errors import TransientError

ATTEMPTS = 4
BASE_SECONDS = 0.5
LONGEST_SECONDS = 30.0
Result = TypeVar("Result")


def backoff_seconds(failures: int, *, draw: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failures: doubling, at most half a minute, and half of it by chance.

    Chance keeps several runs that failed together from coming back together.
    """
    longest = min(BASE_SECONDS * 2.0 ** min(max(failures - 1, 0), 16), LONGEST_SECONDS)
    return longest * (0.5 + 0.5 * draw())


def try_again(
    action: Callable[[], Result],
    wait: Callable[[float], None],
    *,
    when: Callable[[TransientError], bool] = lambda _: True,
    attempts: int = ATTEMPTS,
    draw: Callable[[], float] = random.random,
) -> Result:
    """Do something that may be repeated, again after a `TransientError` as `when` allows; `wait` may end it by raising.

    Raises:
        TransientError: the last one, once there were enough.
    """
    for failures in range(1, attempts):
        try:
            return action()
        except TransientError as error:
            if not when(error):
                raise
            wait(backoff_seconds(failures, draw=draw))
    return action()
