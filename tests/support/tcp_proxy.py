"""A proxy before a source's server that can cut, delay and watch the connection."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # linger for no time: the peer is told by a reset, as by a router that went down


@dataclass
class TcpProxy:
    """Passes bytes on between clients and the server; what the fields say happens from now on."""

    target: tuple[str, int]
    port: int = 0
    asked: int = 0
    """How often a client has sent something."""
    answered_bytes: int = 0
    cut_after_asked: int | None = None
    """The connection is cut when a client sends for the so-manieth time."""
    cut_after_answered_bytes: int | None = None
    delay_seconds: float = 0
    """Before every answer's first byte."""
    before_asking: Callable[[bytes], None] | None = None
    """Called with what a client sends before the server has it."""
    cuts: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    def url(self, source_url: str) -> str:
        """The source's URL by way of this proxy."""
        parts = urlsplit(source_url)
        credentials = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{self.port}"))

    def heal(self) -> None:
        """Passes everything on again, and counts from the beginning."""
        self.asked = self.answered_bytes = 0
        self.cut_after_asked = self.cut_after_answered_bytes = None
        self.delay_seconds, self.before_asking = 0, None

    def serve(self, listener: socket.socket) -> None:
        """Accepts until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self._open += [client, server]
            for pump in (self._ask, self._answer):
                threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def close(self) -> None:
        """Cuts what is still open."""
        for end in self._open:
            _reset(end)

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK_BYTES):
                self.asked += 1
                if self.cut_after_asked is not None and self.asked >= self.cut_after_asked:
                    break
                if self.before_asking is not None:
                    self.before_asking(data)
                server.sendall(data)
        self._end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK_BYTES):
                if self.delay_seconds:
                    time.sleep(self.delay_seconds)
                limit = self.cut_after_answered_bytes
                if limit is not None and self.answered_bytes + len(data) > limit:
                    client.sendall(data[: max(0, limit - self.answered_bytes)])
                    break
                self.answered_bytes += len(data)
                client.sendall(data)
        self._end(client, server)

    def _end(self, *ends: socket.socket) -> None:
        is_cut = self.cut_after_asked is not None or self.cut_after_answered_bytes is not None
        self.cuts += is_cut
        for end in ends:
            if is_cut:
                _reset(end)
            else:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def tcp_proxy(source_url: str) -> Iterator[TcpProxy]:
    """A proxy before the server of the URL, on a free port."""
    parts = urlsplit(source_url)
    assert parts.hostname is not None
    assert parts.port is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = TcpProxy((parts.hostname, parts.port), listener.getsockname()[1])
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            proxy.close()
            thread.join(timeout=10)
