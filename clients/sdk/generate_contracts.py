"""Writes `contracts/schemas` from the code: `make contracts`. A test proves what is checked in fresh."""

# Every service is imported to be described, which other commands must not pay for.
# ruff: noqa: PLC0415

import importlib
import json
import pkgutil
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import contracts
from chassis.settings import REPOSITORY

SCHEMAS = REPOSITORY / "contracts" / "schemas"
WORKERS = ("ingest", "valuation", "market", "reporting", "gisexport")
_SESSION_LINES = re.compile(r"^(SET |SELECT pg_catalog|\\(un)?restrict|--( Dumped|$)|--$)")


def main() -> None:
    """Write every generated file."""
    for name, content in {**documents(), "database.sql": database_sql()}.items():
        (SCHEMAS / name).write_text(content)
        print(f"contracts/schemas/{name}")


def documents() -> dict[str, str]:
    """What can be generated without a server: file name to content."""
    return {
        "events.json": to_text(event_schemas()),
        "bodies.json": to_text(body_schemas()),
        "openapi.json": to_text(openapi()),
        "asyncapi.json": to_text(asyncapi()),
    }


def event_schemas() -> dict[str, Any]:
    """JSON Schemas of every event, by name, with the subjects that each is published on."""
    from contracts.events.base import Event

    events = [model for model in models() if issubclass(model, Event) and model.subjects]
    schemas = _schemas(events)
    schemas["subjects"] = {event.__name__: list(event.subjects) for event in events}
    return schemas


def body_schemas() -> dict[str, Any]:
    """JSON Schemas of requests, answers and configuration files."""
    from contracts.events.base import Event

    return _schemas([model for model in models() if not issubclass(model, Event)])


def models() -> list[type[BaseModel]]:
    """Every model that the contracts define, in the order of their names."""
    found = {
        value
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseModel)
        and value.__module__.startswith("contracts.")
        and not value.__name__.startswith("_")
        and not value.__pydantic_generic_metadata__["parameters"]
    }
    return sorted(found, key=lambda model: (model.__name__, model.__module__))


def openapi() -> dict[str, Any]:
    """The gateway's routes."""
    app = importlib.import_module("services.gateway.app").app
    return app.openapi()  # type: ignore[no-any-return]


def asyncapi() -> dict[str, Any]:
    """What each service hears and says, by service."""
    services = (importlib.import_module(f"services.{name}.app") for name in WORKERS)
    return {module.service.name: _asyncapi(module.app) for module in services}


def database_sql() -> str:
    """The schema that the migrations make, as `pg_dump` says it."""
    from chassis.embedded.accounts import postgres_binaries, server_account
    from chassis.embedded.postgres import EmbeddedPostgres
    from chassis.migrations import upgrade

    with tempfile.TemporaryDirectory(prefix="tf-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "postgres", settings={"fsync": "off"}) as server:
            upgrade(server.url)
            program = postgres_binaries(server_account(folder / "postgres")) / "pg_dump"
            command = [
                str(program),
                "--schema-only",
                "--no-owner",
                "--exclude-table=public.alembic_version",
                server.url,
            ]
            dumped = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 our own
    return clean_dump(dumped)


def clean_dump(dumped: str) -> str:
    """The dump without what differs between servers and versions."""
    lines = (line for line in dumped.splitlines() if not _SESSION_LINES.match(line))
    return re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip() + "\n"


def to_text(document: dict[str, Any]) -> str:
    """A document as it is checked in."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _asyncapi(app: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(app.schema.to_specification().to_json())
    document["servers"] = {}  # where the bus is, is a matter of settings
    return document


def _schemas(wanted: list[type[BaseModel]]) -> dict[str, Any]:
    _, schemas = models_json_schema([(model, "validation") for model in wanted])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schemas}


def _modules() -> Iterator[Any]:
    for module in pkgutil.walk_packages(contracts.__path__, "contracts."):
        yield importlib.import_module(module.name)


if __name__ == "__main__":
    main()
