"""Runs one service: `python -m chassis.run valuation`."""

import sys

import uvicorn

from chassis.settings import REPOSITORY, ServiceSettings

APPLICATIONS = {"relay": "chassis.relay_app:app"}


def service_names() -> tuple[str, ...]:
    """Every service that can be run: each folder of `services` that has an `app.py`, and the relay."""
    return tuple(sorted({path.parent.name for path in REPOSITORY.glob("services/*/app.py")} | set(APPLICATIONS)))


def main(arguments: list[str]) -> None:
    """Serve the named service until it is told to stop."""
    if len(arguments) != 1:
        sys.exit("usage: python -m chassis.run SERVICE")
    settings = ServiceSettings()
    uvicorn.run(
        APPLICATIONS.get(arguments[0], f"services.{arguments[0]}.app:app"),
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(settings.shutdown_wait.total_seconds()),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
