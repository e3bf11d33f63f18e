"""PostgreSQL as a child process."""

import atexit
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psycopg

from chassis.embedded import databases
from chassis.embedded.accounts import Account, postgres_binaries, reachable_home, server_account
from chassis.embedded.children import Child, spawn, try_lock, write_private
from chassis.embedded.cluster import (
    check_cluster,
    failure_code,
    kill_orphans,
    major_version,
    read_postmaster,
    remove_stale_pid_file,
)
from chassis.embedded.errors import EmbeddedServerError
from chassis.embedded.ports import LOOPBACK, free_port, port_taken, require_free

USER = "terrafusion"
DATABASE = "terrafusion"

_START_SECONDS = 300.0  # recovery after a crash may read much of the write-ahead log
_STOP_STEPS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))  # fast shutdown, then immediate shutdown
_PORT_ATTEMPTS = 10
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path may have about 100 characters
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The client is told of an error in its statement; the log file is not, because row values stand in it.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}


class EmbeddedPostgres:
    """A PostgreSQL server on 127.0.0.1 whose data is in `data_dir`.

    `data_dir` holds `cluster/` (PostgreSQL's own folder), `password`, `server.log` and `lock`. Without
    `port` a free one is chosen, which the object keeps over restarts. `settings` are PostgreSQL settings of
    this run, such as `{"fsync": "off"}`. Run by root, the server runs as another account: see `accounts`.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self._port = port
        self._settings = dict(settings or {})
        self._password: str | None = None
        self._child: Child | None = None
        self._cluster = self.data_dir / "cluster"
        self._guard = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The TCP port; known once started."""
        if self._port is None:
            raise EmbeddedServerError("not_started", "the port is chosen when the server starts")
        return self._port

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._child is None:
            raise EmbeddedServerError("not_started", "the PostgreSQL server is not running")
        return self._child.process.pid

    @property
    def url(self) -> str:
        """The URL of the database `terrafusion`, with the password; keep it out of logs."""
        if self._password is None:
            raise EmbeddedServerError("not_started", "the password is known once the server has started")
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def log_path(self) -> Path:
        """The server's log file."""
        return self.data_dir / "server.log"

    def is_running(self) -> bool:
        """Say whether the server's process lives."""
        return self._child is not None and self._child.is_running()

    def start(self) -> None:
        """Start the server, making the cluster where there is none; it answers when this returns.

        Raises `EmbeddedServerError`: port_taken, data_dir_damaged, data_dir_in_use, data_dir_version,
        data_dir_unreachable, no_account, binaries_missing, start_failed.
        """
        with self._guard:
            if self.is_running():
                return
            self._child = None
            if self._port is not None:  # after a restart its old connections may need a moment to go
                wait_seconds = 0.0 if self._password is None else 5.0
                require_free(self._port, "PostgreSQL", wait_seconds=wait_seconds)
            lock = None
            try:
                account = self._open_home()
                lock = self._lock()
                self._serve(account, lock)
            except OSError as error:
                raise EmbeddedServerError("start_failed", f"PostgreSQL did not start: {error}") from error
            finally:
                if lock is not None:
                    os.close(lock)  # from here on the server's processes hold it
            atexit.register(self.stop)

    def stop(self) -> None:
        """Shut down cleanly, disconnecting clients, and wait for the end; does nothing when stopped."""
        with self._guard:
            if self._child is not None:
                self._child.end(_STOP_STEPS)
                self._forget()

    def kill(self) -> None:
        """Kill the server and all its processes at once, as a power cut would."""
        with self._guard:
            if self._child is not None:
                self._child.end(())
                kill_orphans(self._cluster)
                self._forget()

    def create_database(self, name: str) -> str:
        """Create database `name` where it is absent and return its URL."""
        return databases.create_database(self.url, name)

    def _forget(self) -> None:
        self._child = None
        atexit.unregister(self.stop)

    def _open_home(self) -> Account | None:
        existing = self._cluster if self._cluster.exists() else self.data_dir
        account = server_account(existing)
        home = reachable_home(self.data_dir, account)
        self._cluster = home / "cluster"
        return account

    def _lock(self) -> int:
        """Lock the folder; wait for a server that is just stopping, end what a dead one left."""
        began = time.monotonic()
        while (lock := try_lock(self.data_dir / "lock")) is None:
            kill_orphans(self._cluster)
            holder = read_postmaster(self._cluster)
            patience_seconds = 60 if holder and holder.state == "stopping" else 3
            if time.monotonic() - began > patience_seconds:
                who = f"PostgreSQL process {holder.pid}" if holder else "another program that is starting PostgreSQL"
                raise EmbeddedServerError("data_dir_in_use", f"{who} uses {self.data_dir}")
            time.sleep(0.05)
        return lock

    def _serve(self, account: Account | None, lock: int) -> None:
        binaries = postgres_binaries(account)
        if not self._cluster.exists():
            self._make_cluster(binaries, account, lock)
        check_cluster(self._cluster, major_version(binaries))
        remove_stale_pid_file(self._cluster)
        self._password = self._read_password()
        fixed = self._port is not None
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self._port = self._port or free_port()
            try:
                self._run(binaries, account, lock)
            except EmbeddedServerError as error:
                if error.code != "port_taken" or fixed or attempt == _PORT_ATTEMPTS:
                    raise
                self._port = None
            else:
                return

    def _run(self, binaries: Path, account: Account | None, lock: int) -> None:
        """Run the server on the port; whatever goes wrong, an interrupt too, leaves no process."""
        child = self._spawn(binaries, account, lock)
        try:
            self._await_ready(child)
            databases.create_database(databases.database_url(self.url, "postgres"), DATABASE)
            self._child = child
        except psycopg.Error as error:
            raise EmbeddedServerError(
                failure_code(child.log_text()),
                f"PostgreSQL on {self._cluster} refused us: {error}\n{child.last_lines()}",
            ) from error
        finally:
            if self._child is not child:
                child.end(_STOP_STEPS)

    def _make_cluster(self, binaries: Path, account: Account | None, lock: int) -> None:
        """Make the cluster beside its place and move it there, so that a half-made one is never served."""
        home = self._cluster.parent
        staged, password_file = home / "cluster.new", home / "password.initdb"
        password = self._existing_password() or secrets.token_urlsafe(24)
        write_private(home / "password", password)
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700)
        try:
            write_private(password_file, password)
            if account is not None:
                os.chown(staged, account.uid, account.gid, follow_symlinks=False)
                os.chown(password_file, account.uid, account.gid, follow_symlinks=False)
            command: list[str | Path] = [binaries / "initdb", "-D", staged, f"--username={USER}"]
            command += [f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
            command += ["--no-sync"] if self._settings.get("fsync") == "off" else []
            child = spawn(command, log=self.log_path, death_signal=signal.SIGTERM, account=account, lock=lock)
            try:
                exit_code = child.process.wait()
            finally:
                child.end(((signal.SIGTERM, 10.0),))  # an interrupt of ours ends it, and it tidies up
            if exit_code != 0:
                raise EmbeddedServerError("start_failed", f"initdb failed:\n{child.last_lines()}")
        finally:
            password_file.unlink(missing_ok=True)
        staged.rename(self._cluster)

    def _existing_password(self) -> str | None:
        try:
            return (self.data_dir / "password").read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def _read_password(self) -> str:
        password = self._existing_password()
        if password is None:
            raise EmbeddedServerError(
                "data_dir_damaged", f"{self.data_dir / 'password'} is missing: without it nobody can log in"
            )
        return password

    def _spawn(self, binaries: Path, account: Account | None, lock: int) -> Child:
        command: list[str | Path] = [binaries / "postgres", "-D", self._cluster]
        for name, value in {**_SETTINGS, **self._settings, "port": str(self.port)}.items():
            command += ["-c", f"{name}={value}"]
        return spawn(command, log=self.log_path, death_signal=signal.SIGINT, account=account, lock=lock)

    def _await_ready(self, child: Child) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while child.is_running():
            postmaster = read_postmaster(self._cluster)
            if postmaster and postmaster.pid == child.process.pid and postmaster.state == "ready":
                return
            if time.monotonic() > deadline:
                message = f"PostgreSQL was not ready after {_START_SECONDS:.0f} s:\n{child.last_lines()}"
                raise EmbeddedServerError("start_failed", message)
            time.sleep(0.01)
        raise self._why_it_ended(child)

    def _why_it_ended(self, child: Child) -> EmbeddedServerError:
        code = failure_code(child.log_text())
        if code == "port_taken":
            return port_taken(self.port, "PostgreSQL")
        return EmbeddedServerError(
            code, f"PostgreSQL did not start on {self._cluster}; its log ends:\n{child.last_lines()}"
        )
