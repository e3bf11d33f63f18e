"""Everything on one machine: servers from wheels, the schema, the streams, an administrator, every service."""

import asyncio
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from chassis.embedded.children import Child, spawn, try_lock, write_private
from chassis.embedded.errors import EmbeddedServerError
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.ports import free_port, require_free
from chassis.embedded.postgres import EmbeddedPostgres
from chassis.migrations import upgrade
from chassis.run import service_names
from chassis.settings import REPOSITORY
from chassis.streams import apply_streams

SERVICES = service_names()
ADMINISTRATOR = "admin"
_READY_SECONDS = 120.0
_STOP_STEPS = ((signal.SIGTERM, 20.0),)
_RESTART_WAITS_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)


class PlatformError(Exception):
    """The platform cannot run here; the text says what to do."""


@dataclass
class Patience:
    """When something that keeps ending may be started again: a little later each time."""

    starts: int = 0
    not_before: float = 0.0

    def is_over(self) -> bool:
        """Whether it may be started now."""
        return time.monotonic() >= self.not_before

    def begin(self) -> None:
        """It is being started again."""
        wait_seconds = _RESTART_WAITS_SECONDS[min(self.starts, len(_RESTART_WAITS_SECONDS) - 1)]
        self.starts += 1
        self.not_before = time.monotonic() + wait_seconds


@dataclass
class Process:
    """One service's process, and where it answers."""

    name: str
    port: int
    child: Child | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def url(self) -> str:
        """The base URL of its routes, health and metrics."""
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Platform:
    """The servers and services below one folder; restart-safe, and nothing outlives it.

    `gateway_port` None takes a free one. Servers named by `TERRAFUSION_OPERATIONAL_DB_URL` and
    `TERRAFUSION_NATS_URL` are used instead of the embedded ones.
    """

    folder: Path
    gateway_port: int | None = None
    services: tuple[str, ...] = SERVICES
    environment: dict[str, str] = field(default_factory=dict)
    postgres: EmbeddedPostgres | None = None
    nats: EmbeddedNats | None = None
    processes: dict[str, Process] = field(default_factory=dict)
    _lock: int | None = None
    _server_patience: dict[str, Patience] = field(default_factory=lambda: defaultdict(Patience))
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            self.start_servers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def database_url(self) -> str:
        """The operational database, as its owner."""
        return os.environ.get("TERRAFUSION_OPERATIONAL_DB_URL") or self._embedded_postgres().url

    @property
    def nats_url(self) -> str:
        """The message bus."""
        return os.environ.get("TERRAFUSION_NATS_URL") or self._embedded_nats().url

    @property
    def gateway_url(self) -> str:
        """The gateway's base URL."""
        return self.processes["gateway"].url

    def start_servers(self) -> None:
        """PostgreSQL and NATS, with schema and streams; refuses a folder that another platform uses."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = try_lock(self.folder / "up.lock")
        except OSError as error:
            raise PlatformError(f"{self.folder} cannot be the platform's folder: {error.strerror}") from error
        if self._lock is None:
            raise PlatformError(f"another platform runs in {self.folder}: stop it first")
        if self.gateway_port is not None:
            require_free(self.gateway_port, "the gateway", wait_seconds=0)
        if not os.environ.get("TERRAFUSION_OPERATIONAL_DB_URL"):
            self._embedded_postgres().start()
        if not os.environ.get("TERRAFUSION_NATS_URL"):
            self._embedded_nats().start()
        upgrade(self.database_url)
        asyncio.run(apply_streams(self.nats_url))

    def start_services(self, environment: Mapping[str, str] | None = None) -> None:
        """An administrator, then every service; returns when each is ready."""
        self.environment = self._settings() | dict(environment or {})
        (self.folder / "storage").mkdir(mode=0o700, exist_ok=True)  # reports and exports are not for every account
        self.ensure_administrator()
        for name in self.services:
            wanted = self.gateway_port if name == "gateway" else None
            self.processes[name] = Process(name, wanted or free_port())
            self._start(self.processes[name])
        for process in self.processes.values():
            self._await_ready(process)
        self._watcher = threading.Thread(target=self._watch, name="platform-watcher", daemon=True)
        self._watcher.start()

    def credentials(self) -> dict[str, str]:
        """The local administrator's credentials, made at the first start and readable by the owner only."""
        path = self.folder / "credentials.json"
        if not path.exists():
            write_private(path, json.dumps({"username": ADMINISTRATOR, "password": secrets.token_urlsafe(18)}))
        try:
            found = json.loads(path.read_text())
            return {name: str(found[name]) for name in ("username", "password")}
        except (ValueError, LookupError, TypeError) as error:
            raise PlatformError(f"{path} is damaged: remove it, and new credentials are made") from error

    def ensure_administrator(self) -> None:
        """Let the credentials of the file be those of a system administrator."""
        from services.gateway.accounts import ensure_administrator  # noqa: PLC0415 only with the gateway's extra

        known = self.credentials()
        asyncio.run(ensure_administrator(self.database_url, known["username"], known["password"]))

    def describe(self) -> dict[str, Any]:
        """What `var/up.json` says."""
        return {
            "gateway_url": self.gateway_url,
            "nats_url": self.nats_url,
            "database_url": self.database_url,
            "credentials_file": str(self.folder / "credentials.json"),
            "services": {name: process.url for name, process in self.processes.items()},
            "pid": os.getpid(),
        }

    def write_description(self) -> Path:
        """Write `up.json`; it holds URLs with passwords, so only its owner may read it."""
        path = self.folder / "up.json"
        write_private(path, json.dumps(self.describe(), indent=2))
        return path

    def stop(self) -> None:
        """End the services, then the servers; nothing is left."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        children = [process.child for process in self.processes.values() if process.child is not None]
        for child in children:
            if child.is_running():
                child.process.send_signal(signal.SIGTERM)
        for child in children:
            child.end(_STOP_STEPS)
        self.processes = {}
        for server in (self.nats, self.postgres):
            if server is not None:
                server.stop()
        if self._lock is not None:  # else the folder, and its description, are another platform's
            (self.folder / "up.json").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _embedded_postgres(self) -> EmbeddedPostgres:
        self.postgres = self.postgres or EmbeddedPostgres(self.folder / "postgres")
        return self.postgres

    def _embedded_nats(self) -> EmbeddedNats:
        self.nats = self.nats or EmbeddedNats(self.folder / "nats")
        return self.nats

    def _settings(self) -> dict[str, str]:
        """The services' environment: ours, with the URLs and the secret of this platform."""
        return dict(os.environ) | {
            "TERRAFUSION_OPERATIONAL_DB_URL": self.database_url,
            "TERRAFUSION_NATS_URL": self.nats_url,
            "TERRAFUSION_SECRET_KEY": os.environ.get("TERRAFUSION_SECRET_KEY") or self._secret_key(),
            "TERRAFUSION_STORAGE_URL": os.environ.get("TERRAFUSION_STORAGE_URL")
            or f"file://{self.folder.absolute() / 'storage'}",
            "PYTHONUNBUFFERED": "1",
        }

    def _secret_key(self) -> str:
        path = self.folder / "secret_key"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(48))
        return path.read_text()

    def _start(self, process: Process) -> None:
        logs = self.folder / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        process.child = spawn(
            [sys.executable, "-m", "chassis.run", process.name],
            log=logs / f"{process.name}.log",
            death_signal=signal.SIGTERM,
            environment=self.environment | {"TERRAFUSION_HTTP_PORT": str(process.port)},
            folder=REPOSITORY,
        )

    def _await_ready(self, process: Process) -> None:
        end = time.monotonic() + _READY_SECONDS
        assert process.child is not None
        while time.monotonic() < end:
            if not process.child.is_running():
                raise PlatformError(f"{process.name} did not start:\n{process.child.last_lines()}")
            with suppress(httpx.TransportError):
                if httpx.get(f"{process.url}/ready", timeout=2).is_success:
                    return
            time.sleep(0.05)
        raise PlatformError(f"{process.name} was not ready in time:\n{process.child.last_lines()}")

    def _watch(self) -> None:
        """Start a server or a service again that has ended."""
        while not self._stopping.wait(0.5):
            for name, server in (("PostgreSQL", self.postgres), ("NATS", self.nats)):
                if server is not None and not server.is_running():
                    self._restart(name, self._server_patience[name], server.start)
            for process in self.processes.values():
                if process.child is not None and not process.child.is_running():
                    self._restart(process.name, process.patience, partial(self._start, process))

    def _restart(self, name: str, patience: Patience, start: Callable[[], None]) -> None:
        """Say that it ended and start it, on its old port; whatever goes wrong is tried again later."""
        if self._stopping.is_set() or not patience.is_over():
            return
        patience.begin()
        print(f"{name} ended unexpectedly and is started again; its log is below {self.folder}", file=sys.stderr)
        try:
            start()
        except (EmbeddedServerError, OSError) as error:
            print(f"{name} did not start: {error}; trying again", file=sys.stderr)
