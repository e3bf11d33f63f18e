import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.deployment import DEPLOY, REPOSITORY, compose, known_settings

TEXT = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def stages() -> dict[str, list[str]]:
    """The instructions of each stage by its name."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in LINES:
        if line.startswith("FROM "):
            name = line.split()[-1]
            found[name] = []
        found[name].append(line)
    return found


def instruction(stage: str, word: str) -> str:
    return next(line for line in stages()[stage] if line.startswith(f"{word} ")).partition(" ")[2]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers `/health`, and nothing else, with a status; gives its port."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 500)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_it_is_built_in_one_stage_and_run_in_another() -> None:
    assert list(stages()) == ["", "build", "runtime", "migrate", "service"]  # the last is what is built by default
    assert instruction("migrate", "FROM") == "runtime AS migrate"
    assert instruction("service", "FROM") == "runtime AS service"
    assert "COPY --from=build /opt/terrafusion /opt/terrafusion" in stages()["runtime"]


def test_images_are_slim_and_pinned() -> None:
    arguments = dict(line.removeprefix("ARG ").split("=") for line in stages()[""])
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", arguments["PYTHON"])
    assert "latest" not in TEXT


@pytest.mark.parametrize("stage", ["build", "runtime"])
def test_a_stage_knows_its_service(stage: str) -> None:
    assert "ARG SERVICE" in stages()[stage]


def test_it_runs_as_a_user_of_a_fixed_number_who_is_not_root() -> None:
    assert stages()["runtime"][-1] == "USER 10001:10001"
    assert not [line for name in ("migrate", "service") for line in stages()[name] if line.startswith("USER")]
    assert "--uid 10001" in TEXT


def test_everything_is_installed_by_hash_or_from_this_repository() -> None:
    installs = re.findall(r"pip install [^&\n]*", TEXT)
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes -r deploy/requirements/" in install or "--no-deps --no-index" in install


def test_what_is_copied_exists_and_the_ignore_file_lets_it_pass() -> None:
    allowed = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = [line.split()[1:-1] for line in stages()["build"] if line.startswith("COPY ")]
    for source in (source for copied in copies for source in copied):
        concrete = source.replace("${SERVICE}", "gateway")
        assert (REPOSITORY / concrete).exists(), source
        assert concrete.split("/")[0] in allowed, source


def test_every_package_of_the_wheel_is_copied() -> None:
    packages = re.search(
        r"(?m)^packages = (\[.*\]) *$|packages = (\[[^\]]*\])", (REPOSITORY / "pyproject.toml").read_text()
    )
    assert packages
    for package in json.loads(packages[1] or packages[2]):
        assert f"COPY {package} {package}" in stages()["build"]


def test_secrets_and_data_stay_outside() -> None:
    patterns = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in patterns
    for name in (".env", ".env.sources"):
        assert any(fnmatch(name, pattern) for pattern in patterns[patterns.index("*") + 1 :])


def test_its_environment_is_of_settings_that_exist() -> None:
    named = set(re.findall(r"\b(TERRAFUSION_\w+)=", instruction("runtime", "ENV")))
    assert named == {"TERRAFUSION_HTTP_HOST", "TERRAFUSION_HTTP_PORT", "TERRAFUSION_STORAGE_URL"} & known_settings()


def test_the_service_is_run_by_name_and_gets_the_signals() -> None:
    assert json.loads(instruction("service", "CMD")) == ["/bin/sh", "-c", 'exec python -m chassis.run "$SERVICE"']


def test_the_migration_is_run_once() -> None:
    assert json.loads(instruction("migrate", "CMD")) == ["terrafusion", "migrate"]
    assert "HEALTHCHECK NONE" in stages()["migrate"]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_of_the_image_tells_health(status: int, healthy: bool) -> None:  # noqa: FBT001 a parameter
    command = json.loads(instruction("service", "HEALTHCHECK").partition("CMD ")[2])
    with answering(status) as port:
        done = subprocess.run(
            [sys.executable, *command[1:]],
            env={"TERRAFUSION_HTTP_PORT": str(port)},
            capture_output=True,
            check=False,
        )
    assert (done.returncode == 0) is healthy


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_of_compose_tells_health(status: int, healthy: bool) -> None:  # noqa: FBT001 a parameter
    _, program, *arguments = compose()["services"]["valuation"]["healthcheck"]["test"]
    assert program == "python"
    with answering(status) as port:
        arguments[-1] = arguments[-1].replace(":5000/", f":{port}/")
        done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    assert (done.returncode == 0) is healthy
