"""Ingest workers that die or stand still at a chosen point; they are forked off a process that has everything loaded.

`python -m tests.support.killed_ingest` reads a JSON line for each worker (`environment`, `log` and perhaps `point`) and
answers with its process id. A worker is the whole service as `chassis.run` serves it.
"""

import contextlib
import ctypes
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import pytest
import uvicorn
from pydantic import BaseModel

from chassis.database import TracedConnection
from chassis.logs import current_job
from services.ingest import leases, reading
from services.ingest.handlers import router
from services.ingest.operation import breaker
from services.ingest.operation.gentle import GentleSource
from services.ingest.operation.observing import ObservedService
from services.ingest.readers.chunk import ChunkSize

SMALL_CHUNKS = functools.partial(ChunkSize, rows=40, fewest=20, most=60)
"""Several chunks in tables of a few hundred rows."""
PAIR_LEASE = timedelta(seconds=2)
FIRST_PAUSE = timedelta(seconds=2)
"""How long a source rests that failed too often."""
_STATEMENTS = ("execute", "executemany", "fetch", "fetchrow", "fetchval", "copy_to_table", "copy_from_query")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
LOADED = (router, ObservedService)
"""What takes long to import, so that workers need not do it."""


class Point(BaseModel):
    """Before or after the so-manieth statement that a job sends to the operational database, or block that it reads."""

    of: Literal["statement", "block"] = "statement"
    number: int
    when: Literal["before", "after"] = "before"
    signal: Literal["SIGKILL", "SIGSTOP"] = "SIGKILL"


class Counted:
    """How many statements and blocks a job has come to."""

    def __init__(self, point: Point | None = None) -> None:
        self.point = point
        self.counts = {"statement": 0, "block": 0}
        self.asked: list[str] = []

    def begin(self, kind: Literal["statement", "block"]) -> int:
        self.counts[kind] += 1
        self.meet(kind, self.counts[kind], "before")
        return self.counts[kind]

    def meet(self, kind: str, number: int, when: str) -> None:
        point = self.point
        if point is not None and (point.of, point.number, point.when) == (kind, number, when):
            os.kill(os.getpid(), signal.Signals[point.signal])


@contextmanager
def counted(point: Point | None = None) -> Iterator[Counted]:
    """Count what jobs of this process do, in small chunks, and send the point's signal when it is reached."""
    counting = Counted(point)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "ChunkSize", SMALL_CHUNKS)
        for name in _STATEMENTS:
            patch.setattr(TracedConnection, name, _counting(getattr(TracedConnection, name), counting))
        original = GentleSource._count

        def count(self: GentleSource, table: Any, block: Any) -> Any:
            number = counting.begin("block")
            found = original(self, table, block)
            counting.meet("block", number, "after")
            return found

        patch.setattr(GentleSource, "_count", count)
        yield counting


def _counting(method: Callable[..., Any], counting: Counted) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if current_job.get() is None:
            return await method(self, *arguments, **named)
        counting.asked.append(str(arguments[0])[:60])
        number = counting.begin("statement")
        answer = await method(self, *arguments, **named)
        counting.meet("statement", number, "after")
        return answer

    return call


def _serve(asked: dict[str, Any]) -> None:
    """In the forked process: the service until it dies."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, end in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(end, number)
    os.environ.update(asked["environment"])
    leases.LEASE, breaker.FIRST_PAUSE = PAIR_LEASE, FIRST_PAUSE
    with counted(Point(**asked["point"]) if asked["point"] else None):
        from services.ingest.app import app  # noqa: PLC0415  # reads the environment

        uvicorn.run(app, host="127.0.0.1", port=0, log_config=None, access_log=False)


def main() -> None:
    """Fork a worker for each line.

    The dead are never reaped, so that no process of anybody else can have their number while it may still be killed.
    """
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                _serve(json.loads(line))
            os._exit(1)
        print(pid, flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
