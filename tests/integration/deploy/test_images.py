"""What deploy/Dockerfile does, without Docker: a service runs with its own requirements and nothing more."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.embedded.nats_server import EmbeddedNats
from chassis.migrations import head_revision
from clients.sdk.platform import SERVICES
from tests.support.deployment import DEPLOY, REPOSITORY
from tests.support.servers import DatabaseServer, database

COPIED = [
    "pyproject.toml",
    "README.md",
    "appraisal",
    "chassis",
    "clients",
    "contracts",
    "deploy",
    "migrations",
    "services",
]
# Imports every module of a service, so that what is imported late is found missing now.
PROGRAM = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
assert "site-packages" in package.__path__[0], package.__path__
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(found.name)
importlib.import_module(sys.argv[2])
"""


def uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True, cwd=REPOSITORY)


def install(folder: Path, requirements: str) -> Path:
    """A new environment with one requirements file; gives its Python."""
    uv("venv", "--quiet", "--seed", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--require-hashes",
        "-r",
        DEPLOY / f"requirements/{requirements}.txt",
    )
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from what the Dockerfile copies and by the pinned build tools."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    source.mkdir()
    for name in COPIED:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    python = install(folder / "build", "build")
    command = [
        python,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        source,
    ]
    subprocess.run(command, check=True)
    return next(folder.glob("terrafusion-*.whl"))


def install_image(folder: Path, wheel: Path, requirements: str) -> Path:
    python = install(folder / "environment", requirements)
    uv("pip", "install", "--quiet", "--python", python, "--no-deps", "--no-index", wheel)
    return python


@pytest.mark.soak
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_needs_no_more_than_its_requirements(tmp_path: Path, wheel: Path, name: str) -> None:
    python = install_image(tmp_path, wheel, name)
    modules = ["contracts", "chassis.relay_app"] if name == "relay" else [f"services.{name}", f"services.{name}.app"]
    done = subprocess.run([python, "-c", PROGRAM, *modules], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.soak
def test_the_migration_needs_no_more_than_its_requirements(
    tmp_path: Path, wheel: Path, postgres: DatabaseServer, nats_server: EmbeddedNats
) -> None:
    python = install_image(tmp_path, wheel, "migrate")
    with database(postgres) as (_, url):
        done = subprocess.run(
            [python.parent / "terrafusion", "migrate"],
            env={"TERRAFUSION_OPERATIONAL_DB_URL": url, "TERRAFUSION_NATS_URL": nats_server.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert f"database at revision {head_revision()}" in done.stdout
    assert "streams and consumers applied" in done.stdout
