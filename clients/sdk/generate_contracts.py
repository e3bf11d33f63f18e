"""Writes `contracts/schemas` and `docs/events.md` from the code: `make contracts`. A test proves them fresh."""

# Every service is imported to be described, which other commands must not pay for.
# ruff: noqa: PLC0415

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import contracts
from chassis.run import service_names
from chassis.settings import REPOSITORY
from clients.sdk.event_table import event_table

DATABASE = "contracts/schemas/database.sql"
CLOUD_EVENT_HEADERS = {
    "type": "object",
    "description": "CloudEvents 1.0, binary mode of the NATS binding",
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "description": "the event's id, the same in every repetition"},
        "ce-source": {"type": "string", "description": "/terrafusion/<service>"},
        "ce-type": {"type": "string", "description": "the subject without the county"},
        "ce-subject": {"type": "string", "description": "what the event is about: a job's, parcel's or sale's id"},
        "ce-time": {"type": "string", "format": "date-time"},
        "content-type": {"const": "application/json"},
        "Nats-Msg-Id": {"type": "string", "description": "equals ce-id"},
        "traceparent": {"type": "string", "description": "W3C trace context"},
    },
    "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "content-type", "Nats-Msg-Id"],
}
_SESSION_LINES = re.compile(r"^(SET |SELECT pg_catalog|\\(un)?restrict|--( Dumped|$)|--$)")


def main() -> None:
    """Write every generated file; `--without-database` leaves out what needs a server."""
    database = {} if "--without-database" in sys.argv[1:] else {DATABASE: database_sql()}
    for name, content in {**documents(), **database}.items():
        path = REPOSITORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(name)


def documents() -> dict[str, str]:
    """What can be generated without a server: path in the repository to content."""
    channels = asyncapi()
    return {
        "contracts/schemas/events.json": to_text(event_schemas()),
        "contracts/schemas/bodies.json": to_text(body_schemas()),
        "contracts/schemas/mappings.json": to_text(mappings_schema()),
        "contracts/schemas/openapi.json": to_text(openapi()),
        "contracts/schemas/asyncapi.json": to_text(channels),
        "docs/events.md": event_table(channels, models()),
    }


def event_schemas() -> dict[str, Any]:
    """JSON Schemas of every event's body, by name, with the subjects that each is published on."""
    from contracts.events.base import Event

    events = [model for model in models() if issubclass(model, Event) and model.subjects]
    schemas = _schemas(events)
    _without_headers(schemas["$defs"])
    schemas["subjects"] = {event.__name__: list(event.subjects) for event in events}
    return schemas


def body_schemas() -> dict[str, Any]:
    """JSON Schemas of requests, answers and configuration files."""
    from contracts.events.base import Event

    return _schemas([model for model in models() if not issubclass(model, Event)])


def mappings_schema() -> dict[str, Any]:
    """JSON Schema of a county's `mappings.yaml`, for editors."""
    from contracts.mapping import CountyMappings

    schema = CountyMappings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


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
    """What each service hears and says on the bus, by service."""
    modules = (importlib.import_module(f"services.{name}.app") for name in service_names() if name in _workers())
    return {module.service.name: _asyncapi(module.app) for module in modules}


def _workers() -> set[str]:
    """The services that hang on the chassis; the gateway is HTTP, the relay sends what others say."""
    return set(service_names()) - {"gateway", "relay"}


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
    """FastStream's document without what is no matter of the bus: this environment's server, and health routes."""
    document: dict[str, Any] = json.loads(app.schema.to_specification().to_json())
    server = {"host": "{host}", "protocol": "nats", "variables": {"host": {"description": "TERRAFUSION_NATS_URL"}}}
    document["servers"] = {"bus": server}
    http = {name for name, channel in document["channels"].items() if channel["address"].startswith("/")}
    for part in ("channels", "operations"):
        document[part] = {name: value for name, value in document[part].items() if name not in http}
    for channel in document["channels"].values():
        channel["servers"] = [{"$ref": "#/servers/bus"}]
    for message in document["components"]["messages"].values():
        message.pop("correlationId", None)  # FastStream's own; ours is the trace in `traceparent`
        message["headers"] = CLOUD_EVENT_HEADERS
    _without_headers(document["components"]["schemas"])
    return document


def _without_headers(schemas: dict[str, Any]) -> None:
    """Take out of the bodies what stands in headers only."""
    for model in models():
        fields = {name for name, field in model.model_fields.items() if field.exclude}
        if fields and (schema := schemas.get(model.__name__)):
            schema["properties"] = {key: value for key, value in schema["properties"].items() if key not in fields}
            schema["required"] = [key for key in schema["required"] if key not in fields]


def _schemas(wanted: Sequence[type[BaseModel]]) -> dict[str, Any]:
    _, schemas = models_json_schema([(model, "validation") for model in wanted])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schemas}


def _modules() -> Iterator[Any]:
    for module in pkgutil.walk_packages(contracts.__path__, "contracts."):
        yield importlib.import_module(module.name)


if __name__ == "__main__":
    main()
