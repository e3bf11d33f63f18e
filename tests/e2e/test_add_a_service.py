"""Follows `docs/add-a-service.md` in a copy of the repository: what the page says has to work."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.database import asyncpg_url
from chassis.embedded.ports import free_port
from services.gateway.accounts import ensure_administrator
from tests.support import servers
from tests.support.processes import REPOSITORY, wait_until
from tests.support.reading import fill, stand_in

pytestmark = pytest.mark.timeout(300)
PAGE = REPOSITORY / "docs" / "add-a-service.md"
WHOLE_FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
EDIT = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CREDENTIALS = {"username": "admin", "password": "a throw-away password"}
PARCELS: list[dict[str, Any]] = [
    {"county": "benton", "parcel_id": "1", "use_code": "11", "is_active": True},
    {"county": "benton", "parcel_id": "2", "use_code": "11", "is_active": True},
    {"county": "benton", "parcel_id": "3", "use_code": "91", "is_active": True},
    {"county": "benton", "parcel_id": "4", "use_code": None, "is_active": True},
    {"county": "benton", "parcel_id": "5", "use_code": "91", "is_active": False},
    {"county": "lebanon_nh", "parcel_id": "6", "use_code": "11", "is_active": True},
]


@dataclass
class Tree:
    """A copy of the repository with the page's service in it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, *arguments: str) -> str:
        return self.run(sys.executable, *arguments)


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    with ExitStack() as stack:
        folder = stack.enter_context(servers.server_folder())
        copy_repository(folder / "tree")
        tree = Tree(folder / "tree", {**os.environ, "PYTHONPATH": str(folder / "tree"), "PYTHONUNBUFFERED": "1"})
        follow_the_page(tree)
        yield tree


def copy_repository(target: Path) -> None:
    """Copy what is or would be checked in."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


def follow_the_page(tree: Tree) -> None:
    text = PAGE.read_text()
    files, edits = WHOLE_FILE.findall(text), EDIT.findall(text)
    assert len(files) + len(edits) == len(re.findall(r"^```\w", text, re.MULTILINE)), "a block is neither"
    for name, content in files:
        path = tree.folder / name
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for number, edit in enumerate(edits):
        patch = tree.folder.parent / f"{number}.diff"
        patch.write_text(edit)
        tree.run("git", "apply", "--verbose", str(patch))


@contextmanager
def service(tree: Tree, name: str, settings: Mapping[str, str]) -> Iterator[str]:
    """A service of the tree as a process: its base URL."""
    port = free_port()
    log = tree.folder.parent / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "chassis.run", name],
            cwd=tree.folder,
            env={**tree.environment, **settings, "TERRAFUSION_HTTP_PORT": str(port)},
            stdout=output,
            stderr=output,
        )
        try:
            wait_until(lambda: is_ready(process, port, log), f"{name} is ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def is_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=2).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def gateway(tree: Tree, postgres: servers.DatabaseServer) -> Iterator[httpx.Client]:
    """The gateway and the new service of the tree, migrated by its own command, and somebody who is logged in."""
    with ExitStack() as stack:
        _, url = stack.enter_context(servers.database(postgres))
        nats = stack.enter_context(servers.nats_server())
        settings = {
            "TERRAFUSION_OPERATIONAL_DB_URL": url,
            "TERRAFUSION_NATS_URL": nats.url,
            "TERRAFUSION_SECRET_KEY": "a throw-away secret of enough characters",
            "TERRAFUSION_STORAGE_URL": f"file://{tree.folder.parent / 'storage'}",
        }
        tree.environment.update(settings)
        tree.python("-c", "from clients.sdk.cli import main; main()", "migrate")
        asyncio.run(prepare(url))
        base_url = stack.enter_context(service(tree, "gateway", settings))
        stack.enter_context(service(tree, "parcel_census", settings))
        client = stack.enter_context(httpx.Client(base_url=base_url, timeout=30))
        tokens = client.post("/auth/login", json=CREDENTIALS).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        yield client


async def prepare(url: str) -> None:
    """An administrator, and parcels where ingest would have published them."""
    await ensure_administrator(url, CREDENTIALS["username"], CREDENTIALS["password"])
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await stand_in(connection)
        await fill(connection, "ingest.parcel_v1", PARCELS)
    finally:
        await connection.close()


def run_census(gateway: httpx.Client, parameters: dict[str, Any]) -> dict[str, Any]:
    """A job of the new kind, once it has ended."""
    asked = gateway.post("/api/v1/parcel-census/run", json={"county": "benton", "parameters": parameters})
    assert asked.status_code == 202, asked.text
    place = asked.headers["Location"]
    job: dict[str, Any] = {}

    def ended() -> bool:
        job.update(gateway.get(place).raise_for_status().json())
        return bool(job["finished_at"])

    wait_until(ended, "the census has ended")
    return job


def test_the_walls_hold_and_the_contracts_are_complete(tree: Tree) -> None:
    assert "0 broken" in tree.python("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    ruff = str(Path(sys.executable).parent / "ruff")
    tree.run(ruff, "check", "services/parcel_census", "contracts")
    tree.run(ruff, "format", "--check", "services/parcel_census", "contracts")
    tree.python("-m", "clients.sdk.generate_contracts", "--without-database")
    tree.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contracts", "-k", "not another_environment")
    tree.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/deploy", "-k", "not requirements")
    row = next(
        line for line in (tree.folder / "docs" / "events.md").read_text().splitlines() if "parcel-census" in line
    )
    assert row.count("parcel_census") == 3


def test_the_walls_would_not_hold_for_a_service_that_imports_another(tree: Tree) -> None:
    path = tree.folder / "services" / "parcel_census" / "wrong.py"
    path.write_text('"""Imports another service."""\n\nimport services.market.app  # noqa: F401\n')
    try:
        with pytest.raises(AssertionError, match="1 broken"):
            tree.python("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    finally:
        path.unlink()


def test_a_job_of_the_new_kind_is_done(gateway: httpx.Client) -> None:
    job = run_census(gateway, {})
    assert job["status"] == "succeeded", job
    assert job["result"] == {"parcels": 4, "by_use_code": {"11": 2, "91": 1, "none": 1}}
    document = gateway.get(job["artifacts"][0]["href"]).raise_for_status().json()
    assert document == job["result"]
    results = gateway.get(f"/api/v1/parcel-census/results/{job['id']}").raise_for_status().json()
    assert results["result"] == job["result"]


def test_its_parameters_count_and_are_checked(gateway: httpx.Client) -> None:
    assert run_census(gateway, {"include_inactive": True})["result"]["parcels"] == 5
    wrong = {"county": "benton", "parameters": {"include_dead": True}}
    refused = gateway.post("/api/v1/parcel-census/run", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "parameters.include_dead"
