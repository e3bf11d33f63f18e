"""Files in object storage: a local folder by default, S3 or Azure Blob by URL."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import obstore
from obstore.exceptions import NotFoundError as ObjectNotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from chassis.errors import NotFoundError, PermanentError
from contracts.api.jobs import Artifact

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- ")
_CHUNK_BYTES = 1 << 20


def open_store(url: str) -> ObjectStore:
    """The store behind a URL; `file://relative/path` is a folder below the working directory."""
    if url.startswith("file://"):
        folder = Path(url.removeprefix("file://")).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(prefix=folder, automatic_cleanup=False)
    return from_url(url)


def check_name(name: str) -> str:
    """Refuse an artifact name that is a path or otherwise more than a plain file name.

    Raises:
        PermanentError: `artifact_name_invalid`.
    """
    if not name or name.startswith(".") or len(name) > 120 or not _NAME_CHARACTERS.issuperset(name):
        raise PermanentError("artifact_name_invalid", "an artifact's name is a plain file name")
    return name


class Storage:
    """Where jobs put their artifacts. A file is written once, under its job and attempt."""

    def __init__(self, url: str) -> None:
        self._store = open_store(url)

    async def put(
        self, county: str, job_id: UUID, *, attempt: int, name: str, content: Path | bytes, media_type: str
    ) -> Artifact:
        """Store a file; its digest and size are those of the bytes that were stored."""
        digest, size = _measure(content)
        await obstore.put_async(self._store, artifact_path(county, job_id, attempt=attempt, name=name), content)
        return Artifact(
            name=name,
            media_type=media_type,
            bytes=size,
            sha256=digest,
            href=f"/api/v1/jobs/{job_id}/artifacts/{quote(name)}",
        )

    async def read(
        self, county: str, job_id: UUID, *, attempt: int, name: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes of a file from `start` up to `end` (exclusive), in chunks.

        Raises:
            NotFoundError: `artifact_not_found`.
        """
        path = artifact_path(county, job_id, attempt=attempt, name=name)
        try:
            size = (await obstore.head_async(self._store, path))["size"]
        except (ObjectNotFoundError, FileNotFoundError) as error:
            raise NotFoundError("artifact_not_found", f"no artifact {name!r}") from error
        last = size if end is None else min(end, size)
        return self._chunks(path, start, last)

    async def _chunks(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        for offset in range(start, end, _CHUNK_BYTES):
            chunk = await obstore.get_range_async(self._store, path, start=offset, end=min(offset + _CHUNK_BYTES, end))
            yield bytes(chunk)


def artifact_path(county: str, job_id: UUID, *, attempt: int, name: str) -> str:
    """Where an artifact lies in the store."""
    return f"artifacts/{county}/{job_id}/{attempt}/{check_name(name)}"


def _measure(content: Path | bytes) -> tuple[str, int]:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest(), len(content)
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), content.stat().st_size
