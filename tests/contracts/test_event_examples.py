import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from chassis.counties import county_names
from chassis.outbox import header_value
from chassis.run import service_names
from chassis.settings import REPOSITORY
from chassis.streams import definition
from clients.sdk.event_table import matches
from contracts.events.base import Event
from contracts.events.ingest import KEY_HEADER, MASK, NEW_KEY_HEADER, OLD_KEY_HEADER, ChangeEnvelope
from contracts.events.jobs import JobRequested, JobSucceeded
from contracts.kinds import PARAMETERS
from contracts.subjects import JobKind, county_of, event_type
from tests.support import examples

EXAMPLES = examples.paths()
MODELS = examples.event_models()
REQUIRED = {"ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "content-type", "Nats-Msg-Id", "traceparent"}
COUNTIES = REPOSITORY / "deploy" / "counties"
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=examples.name)


def model_of(subject: str) -> type[Event]:
    found = [model for model in MODELS if any(matches(pattern, subject) for pattern in model.subjects)]
    assert len(found) == 1, f"{subject} is a subject of {found}"
    return found[0]


def event_of(example: dict[str, Any]) -> Event:
    """The event of an example; what a body leaves out stands in subject and headers."""
    outside = {"county": county_of(example["subject"]), "occurred_at": example["headers"]["ce-time"]}
    return model_of(example["subject"]).model_validate({**outside, **example["body"]})


@each_example
def test_an_example_stands_in_the_folder_of_its_type(path: Path) -> None:
    assert path.parent.name == event_type(examples.read(path)["subject"])


@each_example
def test_an_example_parses_and_serialises_to_itself(path: Path) -> None:
    example = examples.read(path)
    event = event_of(example)
    said = event.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert {key: value for key, value in said.items() if key in example["body"]} == example["body"]
    assert event.body().keys() >= example["body"].keys()
    assert event.subject == example["subject"]


@each_example
def test_headers_are_cloudevents_in_binary_mode(path: Path) -> None:
    example = examples.read(path)
    headers, event = example["headers"], event_of(example)
    assert headers.keys() >= REQUIRED
    assert headers.keys() <= REQUIRED | {"ce-subject", KEY_HEADER, NEW_KEY_HEADER, OLD_KEY_HEADER}
    assert all(re.fullmatch(r"ce-[a-z0-9]+", header) for header in headers if header.startswith("ce-"))
    assert all(re.fullmatch(r"[\x20-\x7e]+", value) for value in headers.values())
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == event_type(example["subject"])
    assert headers["ce-source"].removeprefix("/terrafusion/") in service_names()
    assert headers["ce-id"] == headers["Nats-Msg-Id"]
    assert headers["content-type"] == "application/json"
    assert datetime.fromisoformat(headers["ce-time"]) == event.occurred_at
    assert unquote(headers.get("ce-subject", "")) == event.subject_id
    assert headers.get("ce-subject", "") == header_value(event.subject_id)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", headers["traceparent"])
    assert (KEY_HEADER in headers) == isinstance(event, ChangeEnvelope)


@each_example
def test_an_example_holds_no_personal_data(path: Path) -> None:
    example = examples.read(path)
    told = {key: value for key, value in fields(example) if key in personal_columns() and value is not None}
    assert set(told.values()) <= {MASK}
    text = path.read_text()
    assert not re.search(r"\b\d{3}-\d{2}-\d{4}\b", text), "looks like a social security number"
    assert not re.search(r"[\w.]+@[\w.]+\.\w+", text), "looks like an e-mail address"


def test_an_example_with_a_name_would_be_found() -> None:
    leak = {"body": {"after": [{"file_as_name": "DOE JOHN"}]}}
    assert ("file_as_name", "DOE JOHN") in set(fields(leak))
    assert {"file_as_name", "addr_line1", "mailing_address"} <= personal_columns()


def fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a document with its plain value, however deep; but for the names of fields that changed."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "changed_fields":
                continue
            if not isinstance(inner, dict | list):
                yield key, inner
            yield from fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner)


@cache
def personal_columns() -> set[str]:
    """The columns that any county's mappings call personal, and the canonical fields that they become."""
    columns = {"mailing_address", "owner_name", "first_name", "last_name", "ssn", "licence_number"}
    for county in county_names(COUNTIES):
        mappings = yaml.safe_load((COUNTIES / county / "mappings.yaml").read_text())
        columns |= {c for pair in mappings["pairs"] for table in pair["tables"] for c in table.get("personal", ())}
    return columns


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_event_has_an_example(model: type[Event]) -> None:
    assert any(model_of(examples.read(path)["subject"]) is model for path in EXAMPLES)


@pytest.mark.parametrize("kind", JobKind)
def test_every_kind_of_job_has_examples_of_its_request_and_its_success(kind: JobKind) -> None:
    events = [event_of(examples.read(path)) for path in EXAMPLES if path.parent.name.startswith(f"job.{kind}.")]
    asked = [event for event in events if isinstance(event, JobRequested)]
    assert asked
    assert all(PARAMETERS[kind].model_validate(event.parameters) for event in asked)
    assert any(isinstance(event, JobSucceeded) for event in events)


def test_every_family_of_subjects_has_an_example() -> None:
    declared = {subject.partition(".")[0] for stream in definition()["streams"] for subject in stream["subjects"]}
    assert {examples.read(path)["subject"].partition(".")[0] for path in EXAMPLES} == declared
