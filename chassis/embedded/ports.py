"""Ports on the loopback address."""

import secrets
import socket
import time

from chassis.embedded.errors import EmbeddedServerError

LOOPBACK = "127.0.0.1"

# Below the range from which systems take the ports of outgoing connections (Linux 32768, others 49152):
# there, a client that keeps connecting to a stopped server can be given the server's own port and keep it.
_CANDIDATES = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Say whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            return True  # a port below 1024: whether the server may have it is for its own log to say
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on; somebody may take it before its user does."""
    for _ in range(200):
        port = secrets.choice(_CANDIDATES)
        if is_free(port):
            return port
    raise EmbeddedServerError("port_taken", f"no free port found between {_CANDIDATES[0]} and {_CANDIDATES[-1]}")


def require_free(port: int, purpose: str, *, wait_seconds: float) -> None:
    """Wait until `port` is free; raise `port_taken` when it stays taken."""
    deadline = time.monotonic() + wait_seconds
    while not is_free(port):
        if time.monotonic() >= deadline:
            raise port_taken(port, purpose)
        time.sleep(0.05)


def port_taken(port: int, purpose: str) -> EmbeddedServerError:
    """Return the error that names the taken port."""
    return EmbeddedServerError(
        "port_taken", f"port {port} of {LOOPBACK}, asked for by {purpose}, is taken by another program"
    )
