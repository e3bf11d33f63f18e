import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clients.sdk.platform import SERVICES
from tests.support.deployment import REPOSITORY

RUN = REPOSITORY / ".ci" / "run"
NO_CLUSTER = "/etc/postgresql-common/createcluster.d/terrafusion.conf"
SUITE = """
import pytest

def test_runs():
    assert True

@pytest.mark.skip(reason="the moon is wrong")
def test_skips():
    assert True

@pytest.fixture
def data():
    pytest.skip("no data")

def test_with_data(data):
    assert data

def test_skips_itself():
    pytest.skip("not today")

@pytest.mark.xfail(reason="known")
def test_known_to_fail():
    assert False

@pytest.mark.soak
def test_takes_an_hour():
    assert False
"""


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    return loaded


def commands(job: str) -> list[str]:
    return [step["run"] for step in workflow()["jobs"][job]["steps"] if "run" in step]


def write_command(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def run_ci(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/run where the commands of `folder` come first; `find` there may say that PostGIS and ODBC are missing."""
    if not (folder / "find").exists():
        write_command(folder, "find", "echo /usr/share/postgresql/15/extension/postgis.control")
    return subprocess.run(
        [RUN],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": sys.executable, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def run_pytest(folder: Path, suite: str, *arguments: str, **settings: str) -> str:
    """The output of a suite under the repository's own hooks."""
    (folder / "test_suite.py").write_text(suite)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull),
            *("-W", "ignore::pytest.PytestUnknownMarkWarning"),
            *("--rootdir", folder, *arguments, folder / "test_suite.py"),
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TERRAFUSION_FORBID_SKIPS": "0", **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_workflow_runs_the_suite_on_the_oldest_python() -> None:
    setup = next(step for step in workflow()["jobs"]["test"]["steps"] if "setup-python" in step.get("uses", ""))
    assert setup["with"]["python-version"] == "3.11"
    assert commands("test")[-1] == ".ci/run"


def test_the_workflow_builds_every_image_and_starts_them() -> None:
    text = "\n".join(commands("compose"))
    assert "docker compose build" in text
    assert "docker compose up --detach --wait" in text
    scraped = re.search(r"for service in ([a-z_ ]+); do", text)
    assert scraped
    assert set(scraped[1].split()) == set(SERVICES)


def test_the_script_is_executable() -> None:
    assert os.access(RUN, os.X_OK)


def test_the_script_makes_the_tests_without_skips(tmp_path: Path) -> None:
    write_command(tmp_path, "make", 'echo "make $*: $TERRAFUSION_FORBID_SKIPS in $PWD"; echo "12 passed in 0.34s"')
    done = run_ci(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"make --no-print-directory test: 1 in {REPOSITORY}",
        "12 passed in 0.34s",
    ]


def test_the_script_ends_with_pytests_closing_line_after_a_failure_too(tmp_path: Path) -> None:
    write_command(tmp_path, "make", 'echo "1 failed, 2 passed in 9.87s"; echo "make: *** [test] Error 1" >&2; exit 2')
    done = run_ci(tmp_path)
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == "1 failed, 2 passed in 9.87s"
    assert done.stderr == ""


def test_the_script_fails_where_no_test_ran(tmp_path: Path) -> None:
    write_command(tmp_path, "make", 'echo "Found 1 error."; exit 1')
    done = run_ci(tmp_path)
    assert done.returncode == 1
    assert done.stdout == "Found 1 error.\n"


def bare_machine(folder: Path) -> None:
    """Commands that tell what they would do; neither a new Python nor PostGIS is there."""
    for name in ("make", "apt-get"):
        write_command(folder, name, f'echo "{name} $*"')
    write_command(folder, "sudo", 'shift; "$@"')
    write_command(folder, "install", 'echo "install $*: $(cat)"')
    write_command(folder, "rm", f'[[ "$*" != */etc/* ]] && exec {shutil.which("rm")} "$@"; echo "rm $*"')
    write_command(folder, "find", "exit 1")
    write_command(folder, "python-of-old", "exit 1")


def test_the_script_installs_what_a_bare_machine_lacks_and_no_server_starts(tmp_path: Path) -> None:
    bare_machine(tmp_path)
    done = run_ci(tmp_path, PYTHON=str(tmp_path / "python-of-old"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "apt-get update --quiet=2",
        f"install -D -m 644 /dev/stdin {NO_CLUSTER}: create_main_cluster = false",
        (
            "apt-get install --quiet=2 --yes --no-install-recommends python3 python3-venv postgresql-postgis "
            "unixodbc odbc-postgresql"
        ),
        f"rm -f {NO_CLUSTER}",
        "make --no-print-directory test",
    ]


def test_a_failed_installation_leaves_no_setting_behind(tmp_path: Path) -> None:
    bare_machine(tmp_path)
    write_command(tmp_path, "apt-get", '[ "$1" = update ] || exit 100')
    done = run_ci(tmp_path)
    assert done.returncode == 100
    assert done.stdout.splitlines()[-1] == f"rm -f {NO_CLUSTER}"


@pytest.mark.slow
def test_a_skip_is_a_skip_where_nothing_forbids_it_and_soak_runs_wait_to_be_asked_for(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, SUITE)
    assert output.splitlines()[-1].startswith("1 passed, 3 skipped, 1 deselected, 1 xfailed")


@pytest.mark.slow
def test_soak_runs_are_for_those_who_ask(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, SUITE, "-m", "soak")
    assert output.splitlines()[-1].startswith("1 failed, 5 deselected")


@pytest.mark.slow
def test_a_forbidden_skip_fails_with_its_reason(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, SUITE, TERRAFUSION_FORBID_SKIPS="1")
    assert output.splitlines()[-1].startswith("1 failed, 1 passed, 1 deselected, 1 xfailed, 2 errors")
    for reason in ("the moon is wrong", "no data", "not today"):
        assert f"TERRAFUSION_FORBID_SKIPS=1 forbids a skip: Skipped: {reason}" in output


@pytest.mark.slow
def test_a_module_that_skips_itself_fails_too(tmp_path: Path) -> None:
    suite = 'import pytest\npytest.importorskip("no_such_module")\n'
    output = run_pytest(tmp_path, suite, TERRAFUSION_FORBID_SKIPS="1")
    assert "forbids a skip: Skipped: could not import 'no_such_module'" in output
    assert output.splitlines()[-1].startswith("1 error in")


def test_sql_server_is_asked_in_a_job_of_its_own_that_may_skip_nothing() -> None:
    job = workflow()["jobs"]["sql-server"]
    assert job["env"]["TERRAFUSION_FORBID_SKIPS"] == "1"
    assert ".venv/bin/pytest tests/integration/ingest/test_sql_server.py" in commands("sql-server")


@pytest.mark.slow
def test_what_no_sql_server_verified_is_left_out_and_said_so(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_sql_server.py").write_text("import pytest\n\ndef test_server():\n    pytest.skip('none')\n")
    (suite / "test_other.py").write_text("def test_other():\n    assert True\n")
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-c", REPOSITORY / "pyproject.toml", "-p", "tests.conftest", suite]
    found = {
        forbidden: subprocess.run(
            command,
            env=environment | {"TERRAFUSION_FORBID_SKIPS": forbidden, "PYTHONPATH": str(REPOSITORY), "DOCKER_HOST": "tcp://127.0.0.1:1"},
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )
        for forbidden in ("0", "1")
    }  # fmt: skip
    assert "1 passed, 1 skipped" in found["0"].stdout
    assert "1 passed" in found["1"].stdout
    assert "skipped" not in found["1"].stdout
    assert "unverified on SQL Server: " in found["1"].stdout
