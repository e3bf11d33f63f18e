"""A thread in which blocks are prepared and staged while the next ones are read."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

AHEAD = 2
"""Blocks that wait: what is read faster than it is staged must not pile up."""

WAIT_SECONDS = 3_600
"""A loop that is gone must not keep a thread for ever."""


class Preparation:
    """Does what it is given in order; after a failure it does nothing more, and says so to whoever asks next."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="preparation")
        self._waiting: deque[Future[None]] = deque()
        self._failure: BaseException | None = None

    def put(self, work: Callable[[], None]) -> None:
        """Have something done once all before it is; waits where too much does."""
        while len(self._waiting) >= AHEAD:
            self._waiting.popleft().result(timeout=WAIT_SECONDS)
        context = copy_context()  # what is traced there belongs to the job
        self._waiting.append(self._thread.submit(context.run, self._run, work))

    def drain(self) -> None:
        """Wait for everything."""
        while self._waiting:
            self._waiting.popleft().result(timeout=WAIT_SECONDS)

    def close(self) -> None:
        """Wait for what is under way, whatever comes of it, and let the thread go."""
        self._failure = self._failure or RuntimeError("closed")
        self._thread.shutdown(wait=True)
        self._waiting.clear()

    def _run(self, work: Callable[[], None]) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            work()
        except BaseException as error:
            self._failure = error
            raise
