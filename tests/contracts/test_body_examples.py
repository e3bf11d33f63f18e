from pathlib import Path

import pytest

from contracts.api.jobs import JobStatus, RunRequest
from contracts.kinds import PARAMETERS
from contracts.subjects import JobKind
from tests.support import examples

BODIES = examples.paths(below="api")
COUNTY_FILES = examples.paths(below="county")


@pytest.mark.parametrize("path", BODIES, ids=examples.name)
def test_a_body_parses_and_serialises_to_itself(path: Path) -> None:
    body = examples.read(path)["body"]
    model = examples.BODIES[path.parent.name].model_validate(body)
    said = model.model_dump(mode="json", exclude_unset=True)
    if "password" in body:
        assert "no password" not in str(said), "a password must not be written anywhere"
        said["password"] = body["password"]
    assert said == body


@pytest.mark.parametrize("path", [path for path in BODIES if path.parent.name.startswith("run-")], ids=examples.name)
def test_the_parameters_of_a_run_are_those_of_its_kind(path: Path) -> None:
    example = examples.read(path)
    kind = next(kind for kind in JobKind if example["route"] == f"POST /api/v1/{kind.route}/run")
    given = RunRequest.model_validate(example["body"]).parameters
    said = PARAMETERS[kind].model_validate(given).model_dump(mode="json", exclude_unset=True)
    assert path.parent.name == f"run-{kind.route}-request"
    assert said.keys() == given.keys()


def test_every_body_that_is_promised_has_an_example() -> None:
    assert {path.parent.name for path in BODIES} == set(examples.BODIES)


def test_a_job_has_an_example_in_each_status() -> None:
    found = {examples.read(path)["body"]["status"] for path in BODIES if path.parent.name == "job"}
    assert found == set(JobStatus)


def test_no_answer_shows_an_owner() -> None:
    bodies = [examples.read(path)["body"] for path in BODIES if path.parent.name == "parcel"]
    assert bodies
    assert all(body["owners"] is None for body in bodies)


@pytest.mark.parametrize("path", COUNTY_FILES, ids=examples.name)
def test_a_county_file_of_then_is_still_read(path: Path) -> None:
    assert examples.COUNTY_FILES[path.parent.name].validate_python(examples.read(path))


def test_every_county_file_has_an_example() -> None:
    assert {path.parent.name for path in COUNTY_FILES} == set(examples.COUNTY_FILES)
