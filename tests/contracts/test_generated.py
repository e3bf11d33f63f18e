"""What is generated is checked in fresh, and says what it has to say."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from jsonschema import Draft202012Validator

from chassis.run import service_names
from chassis.settings import REPOSITORY
from clients.sdk import generate_contracts
from clients.sdk.event_table import matches, resolve
from contracts.kinds import PARAMETERS
from contracts.subjects import JobKind
from tests.support import examples

NAMES = ["events.json", "bodies.json", "mappings.json", "openapi.json", "asyncapi.json"]
OPEN_ROUTES = {
    "/", "/health", "/gateway-health", "/ready", "/metrics", "/gateway-metrics",
    "/auth/login", "/auth/refresh", "/auth/logout",
}  # fmt: skip
ROUTES = {
    "POST /auth/login", "POST /auth/refresh", "POST /auth/logout", "GET /auth/me",
    *(f"POST /api/v1/{kind.route}/run" for kind in JobKind),
    *(f"GET /api/v1/{kind.route}/{what}/{{job_id}}" for kind in JobKind for what in ("status", "results")),
    "GET /api/v1/jobs", "GET /api/v1/jobs/{job_id}", "POST /api/v1/jobs/{job_id}/cancel",
    "POST /api/v1/jobs/{job_id}/retry", "GET /api/v1/jobs/{job_id}/events",
    "GET /api/v1/jobs/{job_id}/artifacts/{name}",
    "GET /api/v1/parcels", "GET /api/v1/parcels/{parcel_id}", "GET /api/v1/parcels/{parcel_id}/comparables",
    "GET /api/v1/sales", "GET /api/v1/neighborhoods",
    "GET /api/v1/gis-export/formats/{county}", "GET /api/v1/gis-export/defaults/{county}",
    "GET /api/status", "GET /api/sync-pairs", "GET /api/sync/operations", "GET /api/metrics/system",
    "POST /api/sync/full", "POST /api/sync/incremental",
    "GET /", "GET /health", "GET /ready", "GET /metrics",
    "GET /gateway-health", "GET /gateway-metrics", "GET /api/sync-operations",
    "GET /api/v1/sync/pairs/{pair}/tables", "GET /api/v1/sync/quarantine", "GET /api/v1/sync/certificates",
    "GET /api/v1/sync/certificates/{certificate_id}", "GET /api/v1/sync/approvals",
    "POST /api/v1/sync/approvals/{approval_id}/approve", "POST /api/v1/sync/approvals/{approval_id}/reject",
    "POST /api/v1/sync/signals", "POST /api/v1/sync/operations/{operation_id}/undo", "GET /api/v1/sync/conflicts",
    "POST /api/v1/sync/conflicts/{conflict_id}/resolve", "GET /api/v1/sync/schema-changes",
    "GET /api/v1/valuation/runs", "GET /api/v1/valuation/runs/{run_id}", "GET /api/v1/valuation/runs/{run_id}/values",
    "GET /api/v1/valuation/runs/{run_id}/compare/{other_run_id}", "GET /api/v1/valuation/runs/{run_id}/posted",
    *(f"POST /api/v1/valuation/runs/{{run_id}}/{verb}" for verb in ("promote", "approve", "reject", "post")),
    "GET /api/v1/valuation/overrides", "POST /api/v1/valuation/overrides",
    "GET /api/v1/valuation/overrides/{override_id}", "POST /api/v1/valuation/overrides/{override_id}/withdraw",
    "GET /api/v1/schedules", "POST /api/v1/schedules", "DELETE /api/v1/schedules/{schedule_id}",
    *(f"POST /api/v1/schedules/{{schedule_id}}/{verb}" for verb in ("pause", "resume", "run")),
}  # fmt: skip


@cache
def generated() -> dict[str, str]:
    return generate_contracts.documents()


@cache
def schema(name: str) -> Any:
    return json.loads((REPOSITORY / "contracts" / "schemas" / name).read_text())


def operations() -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema("openapi.json")["paths"].items()
        for method, operation in methods.items()
    }


@pytest.mark.parametrize("name", [*(f"contracts/schemas/{name}" for name in NAMES), "docs/events.md"])
def test_a_generated_file_is_fresh(name: str) -> None:
    path = REPOSITORY / name
    assert path.exists(), f"{name} is missing: run `make contracts`"
    assert path.read_text() == generated()[name], f"{name} is not what the code says: run `make contracts`"


@pytest.mark.slow
def test_another_environment_generates_the_same() -> None:
    program = (
        "from clients.sdk.generate_contracts import documents; print(documents()['contracts/schemas/asyncapi.json'])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TERRAFUSION_NATS_URL": "nats://nats.example:4333"}
    said = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == generated()["contracts/schemas/asyncapi.json"].strip()
    assert "nats.example" not in said


@pytest.mark.parametrize("name", ["events.json", "bodies.json"])
def test_schemas_are_valid(name: str) -> None:
    definitions = schema(name)["$defs"]
    assert definitions
    for definition in definitions.values():
        Draft202012Validator.check_schema(definition)


def test_the_schema_of_mappings_takes_what_the_counties_have_and_refuses_what_is_misspelt() -> None:
    document = schema("mappings.json")
    Draft202012Validator.check_schema(document)
    for path in sorted((REPOSITORY / "deploy" / "counties").glob("*/mappings.yaml")):
        found = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        validate(found, document)
        found["pairs"][0]["tables"][0]["keys"] = found["pairs"][0]["tables"][0].pop("key")
        with pytest.raises(jsonschema.ValidationError):
            validate(found, document)


@pytest.mark.parametrize("path", examples.paths(), ids=examples.name)
def test_an_event_example_is_valid_by_its_schema(path: Path) -> None:
    example, document = examples.read(path), schema("events.json")
    names = [
        name
        for name, patterns in document["subjects"].items()
        if any(matches(pattern, example["subject"]) for pattern in patterns)
    ]
    assert len(names) == 1
    validate(example["body"], {"$defs": document["$defs"], "$ref": f"#/$defs/{names[0]}"})


@pytest.mark.parametrize("path", examples.paths(below="api"), ids=examples.name)
def test_a_body_example_is_valid_by_the_routes_schema(path: Path) -> None:
    example, document = examples.read(path), schema("openapi.json")
    operation = operations()[example["route"]]
    if "status" in example:
        said = operation["responses"].get(str(example["status"]), operation["responses"]["default"])
    else:
        said = operation["requestBody"]
    content = next(iter(said["content"].values()))
    validate(example["body"], {"components": document["components"], **content["schema"]})


def test_the_schemas_refuse_what_is_wrong() -> None:
    document = schema("openapi.json")
    body = operations()["POST /api/v1/valuation/run"]["requestBody"]["content"]["application/json"]["schema"]
    wrong = {"county": "benton", "parameters": {"scope": {"all": True}, "modell": "blend"}}
    with pytest.raises(jsonschema.ValidationError):
        validate(wrong, {"components": document["components"], **body})


def validate(body: Any, definition: dict[str, Any]) -> None:
    Draft202012Validator(definition, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)


def test_every_route_that_integrations_know_is_there() -> None:
    assert ROUTES - operations().keys() == set()


def test_every_route_but_the_open_ones_needs_a_token() -> None:
    unguarded = {name.split()[1] for name, operation in operations().items() if not operation.get("security")}
    assert unguarded <= OPEN_ROUTES


def test_every_guarded_route_says_how_it_refuses() -> None:
    guarded = {name: operation for name, operation in operations().items() if operation.get("security")}
    assert guarded
    for name, operation in guarded.items():
        refusal = json.dumps(operation["responses"]["default"]["content"])
        assert "#/components/schemas/Problem" in refusal, name


def test_each_worker_says_what_it_hears_and_says() -> None:
    documents = schema("asyncapi.json")
    assert documents.keys() == set(service_names()) - {"gateway", "relay"}
    served = set()
    for service, document in documents.items():
        heard, said = subjects(document, "receive"), subjects(document, "send")
        kinds = {kind for kind in JobKind if f"job.{kind}.requested.*" in heard}
        served |= kinds
        for kind in kinds:
            assert f"job.{kind}.cancel_requested.*" in heard
            facts = ("started", "progressed", "succeeded", "failed", "cancelled")
            assert said >= {f"job.{kind}.{fact}.*" for fact in facts}
        assert f"dlq.{service}.*" in said
    assert served == set(PARAMETERS) == set(JobKind)


def subjects(document: Any, action: str) -> set[str]:
    named = (o["channel"]["$ref"] for o in document["operations"].values() if o["action"] == action)
    return {resolve(document, reference)["address"] for reference in named}


def test_every_event_is_said_by_somebody() -> None:
    rows = [line for line in (REPOSITORY / "docs" / "events.md").read_text().splitlines() if line.startswith("| `")]
    spoken = {cells[2].strip(): cells[3].strip() for cells in (row.split("|") for row in rows)}
    assert all(spoken[model.__name__] for model in examples.event_models())


def test_a_problem_has_its_own_media_type_everywhere() -> None:
    for name, operation in operations().items():
        assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"], name


def test_events_and_files_are_no_json() -> None:
    events = operations()["GET /api/v1/jobs/{job_id}/events"]["responses"]
    assert list(events["200"]["content"]) == ["text/event-stream"]
    download = operations()["GET /api/v1/jobs/{job_id}/artifacts/{name}"]
    assert list(download["responses"]["200"]["content"]) == list(download["responses"]["206"]["content"]) == ["*/*"]
    assert "Content-Range" in download["responses"]["206"]["headers"]
    asked = {parameter["name"] for parameter in download["parameters"] if parameter["in"] == "header"}
    assert asked == {"Range", "If-Range", "If-None-Match"}
    assert list(operations()["GET /metrics"]["responses"]["200"]["content"]) == ["text/plain"]
