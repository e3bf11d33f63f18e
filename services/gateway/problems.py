"""Every error as problem details (RFC 9457) with a stable code, and nothing of what was inside."""

from collections.abc import Mapping
from http import HTTPStatus

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chassis.errors import PermanentError, TerraFusionError, TransientError
from chassis.outages import is_outage
from contracts.api.problems import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
_HTTP_CODES = {400: "request_malformed", 404: "route_not_found", 405: "method_not_allowed", 413: "body_too_large"}
_PERHAPS_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class ThrottledError(PermanentError):
    """Too many attempts: `details.retry_after_seconds` says when there may be another."""

    http_status = 429


class UnansweredError(TransientError):
    """Another service did not answer in time."""

    http_status = 504


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response."""
    return Response(
        problem.model_dump_json(), status_code=problem.status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def problem(status: int, code: str, detail: str, *, errors: list[FieldProblem] | None = None) -> Problem:
    """A problem of one of our codes."""
    return Problem(
        type=f"urn:terrafusion:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=errors or [],
    )


def refusal(error: TerraFusionError) -> Response:
    """The response to an expected refusal."""
    headers = {}
    if error.http_status == 401:
        hint = "" if error.code == "token_missing" else ', error="invalid_token"'
        headers["WWW-Authenticate"] = f'Bearer realm="terrafusion"{hint}'
    if error.http_status in {429, 503}:
        headers["Retry-After"] = str(error.details.get("retry_after_seconds", RETRY_SECONDS))
    known = problem(error.http_status, error.code, error.message)
    return problem_response(known.model_copy(update={"details": error.details}), headers)


def internal_error() -> Response:
    """The response to what we did not expect."""
    return problem_response(problem(500, "internal_error", "something went wrong here; the log has the trace id"))


def register(app: FastAPI) -> None:
    """Let the application answer with problems."""
    app.add_exception_handler(TerraFusionError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(asyncpg.DataError, _unstorable)
    for away in _PERHAPS_AWAY:
        app.add_exception_handler(away, _database_away)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TerraFusionError)
    return refusal(error)


async def _http(request: Request, error: Exception) -> Response:
    """Unknown routes, wrong methods and what the framework refuses while it reads a body."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and "parsing the body" in str(error.detail):
        return problem_response(problem(400, "json_malformed", "the body is not JSON"))
    code = _HTTP_CODES.get(error.status_code, "request_refused")
    return problem_response(problem(error.status_code, code, str(error.detail)), error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Fields that were refused, by name; never their values, which may be personal data."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        return problem_response(problem(400, "json_malformed", "the body is not JSON"))
    errors = [FieldProblem(field=_field(e["loc"]), message=e["msg"]) for e in found]
    return problem_response(problem(422, "validation_failed", "the request is not valid", errors=errors))


async def _unstorable(request: Request, error: Exception) -> Response:
    """Text that PostgreSQL cannot hold, such as a NUL character, or a number beyond its range."""
    return problem_response(problem(422, "value_unstorable", "a value holds what cannot be stored, such as NUL"))


async def _database_away(request: Request, error: Exception) -> Response:
    """An outage passes; anything else of these kinds is a mistake of ours, which the middleware reports."""
    if isinstance(error, (FileNotFoundError, PermissionError)) or not is_outage(error):
        raise error
    away = problem(503, "database_unavailable", "the database does not answer; try again")
    return problem_response(away, {"Retry-After": str(RETRY_SECONDS)})


def _field(location: tuple[str | int, ...]) -> str:
    """A field's name as the caller wrote it: without where it stood."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:] or parts)
