"""A SQL Server for tests: one that is named, or one in a container; there is none as a wheel or a free package."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

URL_VARIABLE = "TERRAFUSION_TEST_MSSQL_URL"
_DRIVERS = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")


@lru_cache(maxsize=1)
def odbc_driver() -> str | None:
    """The best driver for SQL Server that is installed."""
    try:
        import pyodbc  # noqa: PLC0415  # needs the driver manager
    except ImportError:
        return None
    return next((driver for driver in _DRIVERS if driver in pyodbc.drivers()), None)


@lru_cache(maxsize=1)
def why_none() -> str | None:
    """Why no SQL Server can be had here; null: one can."""
    if os.environ.get(URL_VARIABLE):
        return None
    if odbc_driver() is None:
        return f"no ODBC driver for SQL Server is installed: install tdsodbc, or name a server by {URL_VARIABLE}"
    docker = shutil.which("docker")
    if docker is None:
        return f"there is no Docker to run SQL Server in: name a server by {URL_VARIABLE}"
    try:
        answered = subprocess.run([docker, "info"], capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        answered = False
    return None if answered else f"Docker does not answer: name a SQL Server by {URL_VARIABLE}"


@contextmanager
def sql_server() -> Iterator[str]:
    """The URL of a server, as an account that may create databases."""
    if url := os.environ.get(URL_VARIABLE):
        yield url
        return
    from testcontainers.mssql import SqlServerContainer  # noqa: PLC0415  # only where there is Docker

    with SqlServerContainer().with_env("MSSQL_AGENT_ENABLED", "true") as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(container.port)
        login = f"{container.username}:{container.password}"
        driver = str(odbc_driver()).replace(" ", "+")
        yield f"mssql+pyodbc://{login}@{host}:{port}/master?driver={driver}&TrustServerCertificate=yes"
