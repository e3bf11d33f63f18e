"""The servers end with their parent, and only with it."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import psycopg
import pytest

from chassis.embedded.children import spawn
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres
from tests.support.processes import is_gone, start_python, wait_until
from tests.support.servers import FAST

PARENT = """
import sys
from pathlib import Path
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres
folder = Path(sys.argv[1])
postgres = EmbeddedPostgres(folder / "pg", settings={"fsync": "off"})
nats = EmbeddedNats(folder / "nats")
postgres.start()
nats.start()
print(postgres.pid, nats.pid, flush=True)
input()
"""

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="only Linux tells of a parent's death")


def _answers(server: EmbeddedPostgres) -> bool:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def _pids(parent: subprocess.Popen[str]) -> tuple[int, int]:
    assert parent.stdout is not None
    postgres_pid, nats_pid = parent.stdout.readline().split()
    return int(postgres_pid), int(nats_pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_cleanly_when_their_parent_is_killed_and_start_again(folder: Path, how: signal.Signals) -> None:
    with start_python(PARENT, folder) as parent:
        postgres_pid, nats_pid = _pids(parent)
        children = psutil.Process(postgres_pid).children(recursive=True)
        parent.send_signal(how)
    members = [postgres_pid, nats_pid, *(child.pid for child in children)]
    wait_until(lambda: all(is_gone(member) for member in members), "the servers are gone")
    assert len(members) > 3
    assert "database system is shut down" in (folder / "pg" / "server.log").read_text()
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server, EmbeddedNats(folder / "nats"):
        assert _answers(server)


def test_a_start_right_after_the_parents_death_waits_for_the_old_server(folder: Path) -> None:
    with start_python(PARENT, folder) as parent:
        old_pid, _ = _pids(parent)
        parent.kill()
        with EmbeddedPostgres(folder / "pg", settings=FAST) as server, EmbeddedNats(folder / "nats") as nats:
            wait_until(lambda: is_gone(old_pid), "the old server is gone")
            assert _answers(server)
            assert nats.is_running()


def test_a_start_after_parent_and_postmaster_were_killed_together_recovers(folder: Path) -> None:
    with start_python(PARENT, folder) as parent:
        old_pid, _ = _pids(parent)
        os.kill(old_pid, signal.SIGKILL)
        parent.kill()
        with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
            assert _answers(server)
            assert "was not properly shut down" in server.log_path.read_text()


def test_servers_outlive_the_thread_that_started_them(folder: Path) -> None:
    postgres, nats = EmbeddedPostgres(folder / "pg", settings=FAST), EmbeddedNats(folder / "nats")
    for server in (postgres, nats):
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        # Both would have had their signal long before this many statements are through.
        for _ in range(1000):
            connection.execute("SELECT 1")
    assert postgres.is_running()
    assert nats.is_running()
    assert "fast shutdown" not in postgres.log_path.read_text()
    postgres.stop()
    nats.stop()


def test_a_parent_that_exits_stops_its_servers(folder: Path) -> None:
    with start_python(PARENT, folder) as parent:
        pids = _pids(parent)
        parent.communicate("\n")
    assert parent.returncode == 0
    wait_until(lambda: all(is_gone(pid) for pid in pids), "the servers are gone")


def test_ctrl_c_in_the_terminal_does_not_reach_the_servers(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as postgres, EmbeddedNats(folder / "nats") as nats:
        groups = {os.getpgid(postgres.pid), os.getpgid(nats.pid)}
        assert os.getpgid(0) not in groups
        assert groups == {postgres.pid, nats.pid}


def test_a_child_gets_the_environment_and_folder_that_it_is_given_and_else_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFUSION_SECRET_KEY", "the caller's")
    command = ["/bin/sh", "-c", "pwd; echo key=$TERRAFUSION_SECRET_KEY"]
    given = spawn(
        command,
        log=folder / "given.log",
        death_signal=signal.SIGTERM,
        environment={"TERRAFUSION_SECRET_KEY": "the child's"},
        folder=folder,
    )
    clean = spawn(command, log=folder / "clean.log", death_signal=signal.SIGTERM)
    assert given.process.wait() == clean.process.wait() == 0
    assert given.log_text().splitlines() == [str(folder), "key=the child's"]
    assert clean.log_text().splitlines() == ["/", "key="]


def test_a_forked_copy_of_the_launcher_leaves_the_servers_alone(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg", settings=FAST) as postgres:
        child = os.fork()
        if child == 0:
            postgres.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert postgres.is_running()
        assert _answers(postgres)
