"""Downloads of what jobs made: whole or by range, with a digest to check them."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from chassis.errors import NotFoundError
from chassis.storage import check_name
from contracts.api.jobs import Artifact
from services.gateway.access import CurrentCaller
from services.gateway.domain.byte_ranges import RangeNotSatisfiableError, parse
from services.gateway.found_jobs import find_job
from services.gateway.problems import problem, problem_response
from services.gateway.state import gateway_of

router = APIRouter(prefix="/api/v1", tags=["jobs"])


_ANY_FILE = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_TEXT = {"schema": {"type": "string"}}
_HEADERS = {"ETag": _TEXT, "Accept-Ranges": _TEXT, "Content-Length": _TEXT, "Content-Disposition": _TEXT}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file, of the artifact's media type", "content": _ANY_FILE, "headers": _HEADERS},
    206: {
        "description": "The range that was asked for",
        "content": _ANY_FILE,
        "headers": {**_HEADERS, "Content-Range": _TEXT},
    },
    304: {"description": "The client has the file already", "headers": {"ETag": _TEXT}},
}
_ASKED = {"Range": "one range of bytes", "If-Range": "the ETag that the range is of", "If-None-Match": "ETags at hand"}
_PARAMETERS = [
    {"in": "header", "name": name, "required": False, "description": meaning, **_TEXT}
    for name, meaning in _ASKED.items()
]


@router.head("/jobs/{job_id}/artifacts/{name:path}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/artifacts/{name:path}",
    summary="Download an artifact",
    response_model=None,
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra={"parameters": _PARAMETERS},
)
async def download(request: Request, caller: CurrentCaller, job_id: UUID, name: str) -> Response:
    """The file, or the range of it that was asked for; its ETag is its sha256."""
    gateway = gateway_of(request)
    check_name(name)
    row = await find_job(gateway, caller, job_id)
    artifact = _artifact(row, name)
    etag = f'"{artifact.sha256}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": etag})
    headers = _headers(artifact, etag)
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    try:
        part = parse(wanted, size=artifact.bytes)
    except RangeNotSatisfiableError as error:
        refused = problem(416, "range_not_satisfiable", str(error))
        return problem_response(refused, {"Content-Range": f"bytes */{artifact.bytes}"})
    start, end = part or (0, artifact.bytes)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{artifact.bytes}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=artifact.media_type)
    content = await gateway.storage.read(row["county"], job_id, attempt=row["attempt"], name=name, start=start, end=end)
    return StreamingResponse(content, status, headers, media_type=artifact.media_type)


def _artifact(row: asyncpg.Record, name: str) -> Artifact:
    found = next((artifact for artifact in row["artifacts"] if artifact["name"] == name), None)
    if found is None:
        raise NotFoundError("artifact_not_found", f"the job has no artifact {name!r}")
    return Artifact(**found)


def _headers(artifact: Artifact, etag: str) -> dict[str, str]:
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename=\"{artifact.name}\"; filename*=UTF-8''{quote(artifact.name)}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
