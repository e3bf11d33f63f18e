"""Artifacts in a local folder."""

import hashlib
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import NotFoundError, PermanentError
from chassis.storage import Storage, artifact_path, check_name

JOB = uuid4()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path}/store")


async def read(storage: Storage, name: str, *, start: int = 0, end: int | None = None) -> bytes:
    chunks = await storage.read("benton", JOB, attempt=1, name=name, start=start, end=end)
    return b"".join([chunk async for chunk in chunks])


async def test_bytes_come_back_with_their_digest(storage: Storage) -> None:
    content = bytes(range(256)) * 10
    artifact = await storage.put(
        "benton", JOB, attempt=1, name="a b.bin", content=content, media_type="application/octet-stream"
    )
    assert (artifact.bytes, artifact.sha256) == (2560, hashlib.sha256(content).hexdigest())
    assert artifact.href == f"/api/v1/jobs/{JOB}/artifacts/a%20b.bin"
    assert await read(storage, "a b.bin") == content


async def test_a_file_of_several_chunks_comes_back_whole(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(b"0123456789abcdef" * 200_000)
    artifact = await storage.put("benton", JOB, attempt=1, name="big.bin", content=file, media_type="x/y")
    assert artifact.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert await read(storage, "big.bin") == file.read_bytes()
    assert await read(storage, "big.bin", start=1_048_570, end=1_048_590) == file.read_bytes()[1_048_570:1_048_590]


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 4, b"0123"), (7, None, b"789"), (8, 99, b"89"), (10, None, b""), (3, 3, b"")]
)
async def test_ranges(storage: Storage, start: int, end: int | None, expected: bytes) -> None:
    await storage.put("benton", JOB, attempt=1, name="ten", content=b"0123456789", media_type="text/plain")
    assert await read(storage, "ten", start=start, end=end) == expected


async def test_an_empty_file_is_a_file(storage: Storage) -> None:
    await storage.put("benton", JOB, attempt=1, name="empty", content=b"", media_type="text/plain")
    assert await read(storage, "empty") == b""


async def test_what_is_not_there_is_said_so(storage: Storage) -> None:
    with pytest.raises(NotFoundError) as refusal:
        await storage.read("benton", JOB, attempt=1, name="nothing")
    assert refusal.value.code == "artifact_not_found"


async def test_attempts_and_counties_are_kept_apart(storage: Storage) -> None:
    await storage.put("benton", JOB, attempt=2, name="late", content=b"2", media_type="text/plain")
    with pytest.raises(NotFoundError):
        await read(storage, "late")


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0b", "naïve", "x" * 121, "a\nb"])
def test_what_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(PermanentError) as refusal:
        check_name(name)
    assert refusal.value.code == "artifact_name_invalid"


@given(st.text(max_size=130))
def test_an_artifact_never_leaves_its_jobs_folder(name: str) -> None:
    try:
        path = artifact_path("benton", JOB, attempt=1, name=name)
    except PermanentError:
        return
    assert path.split("/") == ["artifacts", "benton", str(JOB), "1", name]
    assert name not in {".", ".."}
