"""A file as it was delivered, and whether it still is that file."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from chassis.errors import TransientError

BLOCK_BYTES = 4 * 1024 * 1024
_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a glance tells of a file and of those that belong to it: name, bytes and time of the last change each."""

    parts: tuple[tuple[str, int, int], ...]


def paths_of(path: Path) -> tuple[Path, ...]:
    """The file, or all parts of a Shapefile."""
    if path.suffix.lower() != ".shp":
        return (path,)
    there = {part.suffix.lower(): part for part in path.parent.glob(f"{path.stem}.*")}
    return tuple(there[suffix] for suffix in _SHAPEFILE_PARTS if suffix in there)


def stamp_of(path: Path) -> Stamp:
    """A glance at the file.

    Raises:
        TransientError: `source_changed_meanwhile` where it is gone.
    """
    try:
        stats = [(part.name, part.stat()) for part in paths_of(path)]
    except FileNotFoundError:
        raise changed(path) from None
    return Stamp(tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


def content_hash(path: Path) -> str:
    """SHA-256 over the bytes of the file and its parts, in hexadecimal digits."""
    found = sha256()
    for part in paths_of(path):
        with part.open("rb") as file:
            for block in blocks(file):
                found.update(block)
    return found.hexdigest()


def blocks(file: Any) -> Iterator[bytes]:
    """A file's bytes from where it stands."""
    while block := file.read(BLOCK_BYTES):
        yield block


def changed(path: Path) -> TransientError:
    """Somebody writes while we read: what was read is of no moment."""
    return TransientError("source_changed_meanwhile", f"{path.name} changed while it was read")
