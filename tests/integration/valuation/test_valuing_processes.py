"""A large scope is valued by several processes: the same bytes as by one, whoever is killed."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from chassis.errors import TransientError
from services.valuation import valuing
from services.valuation.domain.mass import CountyModel
from services.valuation.domain.properties import Properties
from tests.support.processes import REPOSITORY, wait_until
from tests.support.small_roll import BATCH_PARCELS, PARCELS, county, job, valued


@pytest.fixture(scope="module")
def fitted() -> tuple[CountyModel, Properties]:
    return county()


@pytest.fixture(autouse=True)
def every_scope_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valuing, "MANY_PARCELS", 0)
    monkeypatch.setattr(valuing, "BATCH_PARCELS", BATCH_PARCELS)


def valuing_processes(of: int) -> list[psutil.Process]:
    """The processes that value for another; Python has one more, which keeps count of shared resources."""
    return [child for child in psutil.Process(of).children() if _values(child)]


def _values(child: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # a zombie too
        return "spawn_main" in " ".join(child.cmdline())
    return False


async def test_several_processes_give_the_bytes_of_one(fitted: tuple[CountyModel, Properties]) -> None:
    alone = [batch async for batch in valued(fitted, 1)]
    together = [batch async for batch in valued(fitted, 2)]
    assert len(together) == PARCELS / BATCH_PARCELS
    assert [batch.lines for batch in together] == [batch.lines for batch in alone]
    assert [batch.refused for batch in together] == [batch.refused for batch in alone]
    assert sum(batch.lines.valued + len(batch.refused) for batch in together) == PARCELS
    assert not valuing_processes(os.getpid())


async def test_a_process_that_is_killed_is_an_attempt_that_failed(fitted: tuple[CountyModel, Properties]) -> None:
    with pytest.raises(TransientError) as raised:  # noqa: PT012  # it fails between two of the batches
        async for _ in valued(fitted, 2):
            for child in valuing_processes(os.getpid()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
    assert raised.value.code == "process_lost"


async def test_a_job_that_is_stopped_leaves_no_process(fitted: tuple[CountyModel, Properties]) -> None:
    asked = job()
    with pytest.raises(Exception, match="cancelled"):  # noqa: PT012  # it stops between two of the batches
        async for _ in valued(fitted, 2, asked):
            asked.ask_to_stop("job_cancelled", "the job was cancelled")
    wait_until(lambda: not valuing_processes(os.getpid()), "the processes are gone")


def test_no_process_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import asyncio, sys, time\n"
        "from tests.support import small_roll as test\n"
        "async def main():\n"
        "    test.valuing.MANY_PARCELS, test.valuing.BATCH_PARCELS = 0, 40\n"
        "    async for _ in test.valued(test.county(), 2):\n"
        "        print('valuing', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"valuing\n"
        children = valuing_processes(worker.pid)
        assert len(children) == 2
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not any(child.is_running() for child in children), "its processes are gone")
