"""A local HTTP server that takes what exporters post."""

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class HttpReceiver:
    """Takes posts on a free port of this machine while its block runs; a subclass makes items of each."""

    def __init__(self) -> None:
        self._items: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name=type(self).__name__, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def items(self) -> list[dict[str, Any]]:
        """Everything that has come so far."""
        with self._changed:
            return list(self._items)

    def wait_for(
        self, predicate: Callable[[list[dict[str, Any]]], object], timeout: float = 30
    ) -> list[dict[str, Any]]:
        """Return what has come once `predicate` holds for it; fail when it does not come to hold."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self._items), timeout):
                raise AssertionError(f"waited {timeout:.0f} s in vain; came so far: {self._items}")
            return list(self._items)

    def take(self, path: str, body: bytes) -> tuple[list[dict[str, Any]], bytes, str]:
        """What a post carried, the answer to it and the answer's media type; LookupError for a wrong path."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _receive(self, path: str, body: bytes) -> tuple[bytes, str]:
        items, answer, media_type = self.take(path, body)
        with self._changed:
            self._items.extend(items)
            self._changed.notify_all()
        return answer, media_type

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                try:
                    answer, media_type = receive(self.path, body)
                except LookupError as error:
                    self.send_error(404, str(error))
                    return
                self.send_response(200)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
                pass

        return Handler
