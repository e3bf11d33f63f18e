import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from tests.support.gateways import ARTIFACT
from tests.support.jobs import Office

Client = Callable[[str], Awaitable[httpx.AsyncClient]]
SHA256 = hashlib.sha256(ARTIFACT).hexdigest()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def job_id(office: Office, worker: None, gateway: object) -> AsyncIterator[str]:
    job_id = await office.submit(segments=["succeed"])
    assert (await office.ended(job_id))["status"] == "succeeded"
    yield str(job_id)


def place(job_id: str, name: str = "study.bin") -> str:
    return f"/api/v1/jobs/{job_id}/artifacts/{name}"


async def test_a_whole_download(client_of: Client, job_id: str) -> None:
    client = await client_of("ann")
    [artifact] = (await client.get(f"/api/v1/jobs/{job_id}")).json()["artifacts"]
    answer = await client.get(artifact["href"])
    assert answer.status_code == 200
    assert answer.content == ARTIFACT
    assert artifact["sha256"] == SHA256
    assert answer.headers["etag"] == f'"{SHA256}"'
    assert answer.headers["content-length"] == str(artifact["bytes"]) == str(len(ARTIFACT))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].startswith('attachment; filename="study.bin"')
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=1000-", 1000, len(ARTIFACT)),
        ("bytes=-5", len(ARTIFACT) - 5, len(ARTIFACT)),
        ("bytes=1048570-1048590", 1048570, 1048591),
        ("bytes=2047999-9999999", 2047999, 2048000),
    ],
)
async def test_a_range(client_of: Client, job_id: str, asked: str, start: int, end: int) -> None:
    answer = await (await client_of("ann")).get(place(job_id), headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == ARTIFACT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(ARTIFACT)}"


async def test_a_range_that_is_not_there(client_of: Client, job_id: str) -> None:
    answer = await (await client_of("ann")).get(place(job_id), headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.json()["code"] == "range_not_satisfiable"
    assert answer.headers["content-range"] == f"bytes */{len(ARTIFACT)}"


async def test_what_the_client_has_already_is_not_sent(client_of: Client, job_id: str) -> None:
    client = await client_of("ann")
    same = await client.get(place(job_id), headers={"If-None-Match": f'"{SHA256}"'})
    assert same.status_code == 304
    part = {"Range": "bytes=0-0"}
    assert (await client.get(place(job_id), headers={**part, "If-Range": f'"{SHA256}"'})).status_code == 206
    assert (await client.get(place(job_id), headers={**part, "If-Range": '"old"'})).status_code == 200
    head = await client.head(place(job_id))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(ARTIFACT))


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2e%2e%5cstudy.bin",
        "sub/study.bin",
        "%2fetc%2fpasswd",
        "study.bin%00.txt",
        ".hidden",
        "%2e%2e",
        "x" * 200,
    ],
)
async def test_a_path_is_no_name(client_of: Client, job_id: str, name: str) -> None:
    client = await client_of("ann")
    url = httpx.URL(str(client.base_url)).copy_with(raw_path=place(job_id, name).encode())
    answer = await client.get(url)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "artifact_name_invalid"


async def test_an_artifact_that_is_not_there(client_of: Client, job_id: str) -> None:
    answer = await (await client_of("ann")).get(place(job_id, "other.bin"))
    assert answer.status_code == 404
    assert answer.json()["code"] == "artifact_not_found"


async def test_an_artifact_needs_the_permission_of_its_kind(client_of: Client, job_id: str) -> None:
    assert (await (await client_of("vic")).get(place(job_id))).status_code == 403
    assert (await (await client_of("fay")).get(place(job_id))).status_code == 404
    assert (await (await client_of("")).get(place(job_id))).status_code == 401


async def test_a_job_without_the_file_has_no_artifact(client_of: Client, office: Office, job_id: str) -> None:
    waiting = await office.submit("valuation")
    answer = await (await client_of("ann")).get(place(str(waiting)))
    assert answer.status_code == 404
    assert answer.json()["code"] == "artifact_not_found"
    assert (await office.job(UUID(job_id)))["attempt"] == 1
