"""A scheduler in a process of its own, for tests that start several and kill them.

`python -m tests.support.scheduler_process URL` says `ready`, waits for a line and fires all that is due, then says how
many. With `stop` as second argument it stops for good once a job is written, before its transaction commits.
"""

import asyncio
import sys
from typing import Any

from chassis import schedule_queries
from chassis.database import Database
from chassis.schedules import fire_all


async def stop_before_the_commit(*_: Any, **__: Any) -> None:
    """Say so and wait to be killed."""
    print("written", flush=True)  # noqa: T201 the answer
    await asyncio.Event().wait()


async def main(url: str) -> None:
    """Fire once it is told to."""
    database = Database(url, service="relay", pool_size=2)
    await database.open()
    print("ready", flush=True)  # noqa: T201 as above
    await asyncio.to_thread(sys.stdin.readline)
    print(await fire_all(database), flush=True)  # noqa: T201 as above
    await database.close()


if __name__ == "__main__":
    if sys.argv[2:] == ["stop"]:
        schedule_queries.save_fire = stop_before_the_commit
    asyncio.run(main(sys.argv[1]))
