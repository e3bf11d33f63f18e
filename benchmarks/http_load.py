"""A load generator of its own: keep-alive connections that send one request after the other, with little overhead."""

import asyncio
import time
from collections.abc import Sequence


class _Connection(asyncio.Protocol):
    """Sends the same request as soon as the response before it is complete."""

    def __init__(self, request: bytes, status: bytes, until: float) -> None:
        self.request = request
        self.status = b"HTTP/1.1 " + status
        self.until = until
        self.done = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        if not head.startswith(self.status):
            self.done.set_exception(AssertionError(self._received.decode()))
            self.transport.close()
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        self._received = b""
        if now < self.until:
            self._send()
        else:
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise AssertionError("a response without content-length")


def request_bytes(
    method: str, path: str, *, port: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def load(
    port: int, request: bytes, *, status: int, connections: int, seconds: float
) -> tuple[float, list[float]]:
    """Requests a second over so many connections, and every latency in seconds."""
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    started = time.perf_counter()
    clients: Sequence[_Connection] = [
        (await loop.create_connection(lambda: _Connection(request, str(status).encode(), until), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    latencies = [latency for client in clients for latency in client.latencies]
    return len(latencies) / (time.perf_counter() - started), latencies
