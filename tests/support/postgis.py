"""A server of the system's packages that has PostGIS, as a county's own does: the wheels bring PostgreSQL alone."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chassis.embedded.accounts import Account, server_account
from chassis.embedded.children import Child, spawn
from chassis.embedded.cluster import failure_code, read_postmaster
from chassis.embedded.ports import LOOPBACK, free_port
from tests.support.servers import FAST, ExistingServer, server_folder

PROGRAMS, EXTENSIONS = Path("/usr/lib/postgresql"), Path("/usr/share/postgresql")  # as Debian and Ubuntu place them
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))
_START_SECONDS, _PORT_ATTEMPTS = 60.0, 5


def postgis_programs(programs: Path = PROGRAMS, extensions: Path = EXTENSIONS) -> Path:
    """The programs of the newest PostgreSQL that has PostGIS; where there is none, the test is skipped."""
    found = [
        folder
        for folder in programs.glob("*")
        if folder.name.isdecimal()
        and (folder / "bin" / "postgres").exists()
        and (extensions / folder.name / "extension" / "postgis.control").exists()
    ]
    if not found:
        pytest.skip("no PostgreSQL with PostGIS is installed: install postgresql-postgis")
    return max(found, key=lambda folder: int(folder.name)) / "bin"


@contextmanager
def postgis_server() -> Iterator[ExistingServer]:
    """A server with PostGIS to be had, without durability; it ends with the test process."""
    programs = postgis_programs()
    with server_folder() as folder:
        account, cluster = server_account(folder), folder / "cluster"
        _make_cluster(programs, cluster, account)
        child, port = _serve(programs, cluster, account)
        try:
            yield ExistingServer(f"postgresql://terrafusion@{LOOPBACK}:{port}/postgres")
        finally:
            child.end(_STOP_STEPS)


def _make_cluster(programs: Path, cluster: Path, account: Account | None) -> None:
    cluster.mkdir(mode=0o700)
    if account is not None:
        os.chown(cluster, account.uid, account.gid)
    command = [programs / "initdb", "-D", cluster, "--username=terrafusion", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    log = cluster.with_name("initdb.log")
    child = spawn(command, log=log, death_signal=signal.SIGTERM, account=account)
    try:
        assert child.process.wait(_START_SECONDS) == 0, f"initdb failed:\n{child.last_lines()}"
    finally:
        child.end(((signal.SIGTERM, 10.0),))


def _serve(programs: Path, cluster: Path, account: Account | None) -> tuple[Child, int]:
    """A server that answers, and its port; somebody may take a free port before the server does."""
    for _ in range(_PORT_ATTEMPTS):
        port = free_port()
        settings = {**FAST, "listen_addresses": LOOPBACK, "unix_socket_directories": "", "port": str(port)}
        command: list[str | Path] = [programs / "postgres", "-D", cluster]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = cluster.with_name("server.log")
        child = spawn(command, log=log, death_signal=signal.SIGINT, account=account)
        if _answers(child, cluster):
            return child, port
        child.end(_STOP_STEPS)
        assert failure_code(child.log_text()) == "port_taken", f"PostgreSQL did not start:\n{child.last_lines()}"
    raise AssertionError(f"{_PORT_ATTEMPTS} free ports were taken before the server had them")


def _answers(child: Child, cluster: Path) -> bool:
    """Wait until the server is ready; false where it ended or takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while child.is_running() and time.monotonic() < deadline:
        postmaster = read_postmaster(cluster)
        if postmaster and (postmaster.pid, postmaster.state) == (child.process.pid, "ready"):
            return True
        time.sleep(0.01)
    return False
