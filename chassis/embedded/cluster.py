"""The folder of a PostgreSQL cluster as the operating system sees it: its pid file and its processes."""

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from chassis.embedded.errors import EmbeddedServerError

_CONTROL_FILE_BYTES = 8192  # src/include/catalog/pg_control.h: PG_CONTROL_FILE_SIZE
_STATE_LINE = 7  # src/include/utils/pidfile.h: LOCK_FILE_LINE_PM_STATUS, counted from 0

# What PostgreSQL logs when its files are not what it left; the messages are English because LC_ALL is C.
_DAMAGE = (
    "pg_control",
    "control file",
    "files are incompatible with server",
    "checkpoint record",
    "could not find the database system",
    "is not a valid data directory",
    "contains invalid data",
    "contains incorrect checksum",
    "could not open file",
    "could not read file",
    "could not open directory",
    "startup process failure",
)


@dataclass(frozen=True)
class Postmaster:
    """What postmaster.pid says: the server's process and `starting`, `stopping`, `ready` or `standby`."""

    pid: int
    state: str


def read_postmaster(cluster: Path) -> Postmaster | None:
    """Return what the pid file says; None where there is none or it is not written fully yet."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="ascii", errors="replace").splitlines()
        return Postmaster(int(lines[0]), lines[_STATE_LINE].strip())
    except (FileNotFoundError, IndexError, ValueError):
        return None


def processes(cluster: Path) -> list[psutil.Process]:
    """Return the live PostgreSQL processes of this cluster: their working folder is the cluster's."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.cwd() == str(cluster):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another account's, which could not serve this folder
    return found


def orphans(cluster: Path) -> list[psutil.Process]:
    """Return the cluster's processes whose postmaster is dead (busy ones notice that late)."""
    members = processes(cluster)
    pids = {process.pid for process in members}
    return [process for process in members if _is_orphan(process, pids)]


def _is_orphan(process: psutil.Process, members: set[int]) -> bool:
    try:
        return process.ppid() not in members and "".join(process.cmdline()[:1]).startswith("postgres:")
    except psutil.NoSuchProcess:
        return False


def kill_orphans(cluster: Path, *, wait_seconds: float = 30) -> None:
    """Kill the processes that outlived their postmaster and wait until they are gone."""
    deadline = time.monotonic() + wait_seconds
    while left := orphans(cluster):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in left)
            raise EmbeddedServerError("data_dir_in_use", f"processes {pids} of a dead server hold {cluster}")
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.02)


def remove_stale_pid_file(cluster: Path) -> None:
    """Remove the pid file of a server that is gone, so that a later process with its number does no harm.

    Call it with the folder locked. Raises `data_dir_in_use` where a server that we did not start serves it.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    if members := processes(cluster):
        raise EmbeddedServerError("data_dir_in_use", f"PostgreSQL process {members[0].pid} serves {cluster}")
    pid_file.unlink(missing_ok=True)


def major_version(binaries: Path) -> str:
    """Return the major version of PostgreSQL's programs, from their header file: it costs no process."""
    header = binaries.parent / "include" / "pg_config.h"
    for line in header.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("#define PG_MAJORVERSION "):
            return line.split('"')[1]
    raise EmbeddedServerError("binaries_missing", f"{header} names no version")


def check_cluster(cluster: Path, major_version: str) -> None:
    """Raise `data_dir_damaged` or `data_dir_version` for a folder that PostgreSQL could not serve."""
    try:
        version = (cluster / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
        control_bytes = (cluster / "global" / "pg_control").stat().st_size
    except OSError as error:
        raise EmbeddedServerError("data_dir_damaged", f"{cluster} is damaged: {error}") from error
    if not version.isdecimal():
        raise EmbeddedServerError("data_dir_damaged", f"{cluster}/PG_VERSION is damaged: no version stands in it")
    if version != major_version:
        raise EmbeddedServerError(
            "data_dir_version",
            f"{cluster} was made by PostgreSQL {version}, the one at hand is {major_version}: restore a dump of it",
        )
    if control_bytes != _CONTROL_FILE_BYTES:
        raise EmbeddedServerError(
            "data_dir_damaged",
            f"{cluster}/global/pg_control has {control_bytes} bytes of {_CONTROL_FILE_BYTES}",
        )


def failure_code(log: str) -> str:
    """Return the code of the error that a server's log shows."""
    if "could not bind" in log and "already in use" in log:
        return "port_taken"
    if "lock file" in log and "already exists" in log:
        return "data_dir_in_use"
    if "No space left on device" in log:
        return "start_failed"
    return "data_dir_damaged" if any(sign in log for sign in _DAMAGE) else "start_failed"
