"""Child processes that end with this one, their logs, and locks on their folders."""

import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from chassis.embedded.accounts import Account

_EXEC_CHILD = Path(__file__).with_name("exec_child.py")
_LOG_KEPT_BYTES = 10_000_000


@dataclass
class Child:
    """A running program, its log, and where in the log it began."""

    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    owner_pid: int

    def is_running(self) -> bool:
        """Say whether it runs; a finished one is reaped."""
        return self.process.poll() is None

    def log_text(self) -> str:
        """Return what it has logged since it was started (at most its last 64 kB)."""
        with self.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self.log_start, end - 65_536))
            return file.read().decode(errors="replace")

    def last_lines(self, count: int = 12) -> str:
        """Return its last log lines, for an error message."""
        return "\n".join(self.log_text().splitlines()[-count:])

    def end(self, steps: Sequence[tuple[signal.Signals, float]]) -> None:
        """Send each signal in turn and wait its seconds for the end; at last kill. Reaps."""
        if self.owner_pid != os.getpid():
            return  # a forked copy of the launcher must not end its parent's servers
        for number, wait_seconds in steps:
            self.process.send_signal(number)
            try:
                self.process.wait(wait_seconds)
            except subprocess.TimeoutExpired:
                continue
            return
        self.process.kill()
        self.process.wait()


class _Keeper:
    """Starts every child from one thread that never ends.

    Linux sends the parent's-death signal when the *thread* that started the child ends, and callers' threads
    come and go.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[tuple[dict[str, object], Future[subprocess.Popen[bytes]]]]
        self._requests = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="embedded-servers", daemon=True).start()

    def start(self, arguments: dict[str, object]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((arguments, future))
        return future.result()

    def _serve(self) -> None:
        while True:
            arguments, future = self._requests.get()
            try:
                future.set_result(subprocess.Popen(**arguments))  # type: ignore[call-overload]
            except BaseException as error:  # noqa: BLE001  # it belongs to the caller's thread
                future.set_exception(error)


_keepers: dict[int, _Keeper] = {}  # by process: a fork copies this dictionary but not the thread
_keepers_lock = threading.Lock()


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    death_signal: signal.Signals,
    account: Account | None = None,
    lock: int | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Child:
    """Start `command` as a child that gets `death_signal` when this process dies (Linux).

    It runs as `account` (None: as the caller) in a session of its own, so that Ctrl-C reaches only the
    caller, who then stops it in order. Its output goes to `log`; `lock`, a descriptor from `try_lock`, is
    shared with it, which keeps the folder locked until it and all its children are gone. It gets
    `environment` (None: none but a search path, the C locale and UTC) and works in `folder` (None: /).
    """
    with _keepers_lock:
        keeper = _keepers.get(os.getpid()) or _keepers.setdefault(os.getpid(), _Keeper())
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    wrapper = [sys.executable, "-s", "-S", "-P", _EXEC_CHILD, os.getpid(), int(death_signal), uid, gid]
    wrapper.append("clean" if environment is None else "given")
    log_descriptor = _open_log(log)
    try:
        start = os.lseek(log_descriptor, 0, os.SEEK_END)
        process = keeper.start(
            {
                "args": [str(part) for part in (*wrapper, *command)],
                "stdin": subprocess.DEVNULL,
                "stdout": log_descriptor,
                "stderr": log_descriptor,
                "cwd": str(folder or "/"),
                "env": None if environment is None else dict(environment),
                "pass_fds": () if lock is None else (lock,),
                "start_new_session": True,
            }
        )
    finally:
        os.close(log_descriptor)
    return Child(process, log, start, os.getpid())


def _open_log(log: Path) -> int:
    if log.exists() and log.stat().st_size > _LOG_KEPT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    return open_private(log, os.O_WRONLY | os.O_APPEND)


def open_private(path: Path, flags: int) -> int:
    """Open `path`, made readable by its owner only; where root makes it, the folder's owner gets it."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    staged = path.with_name(f".{path.name}.new")
    with os.fdopen(open_private(staged, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)


def try_lock(path: Path) -> int | None:
    """Lock a folder by its lock file; return the descriptor that holds the lock, None where it is held."""
    descriptor = open_private(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
