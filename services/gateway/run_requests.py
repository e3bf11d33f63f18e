"""The bodies of runs by kind, and runs that a route asks for in words of its own."""

from functools import cache
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError, create_model
from starlette.responses import Response

from contracts.api.jobs import RunRequest
from contracts.kinds import PARAMETERS
from contracts.subjects import JobKind
from services.gateway.access import require
from services.gateway.domain.permissions import Caller, ask
from services.gateway.state import Gateway
from services.gateway.submission import is_known, submit


@cache
def run_request(kind: JobKind) -> type[RunRequest]:
    """The body of a kind's run: `RunRequest` whose parameters are the kind's."""
    parameters = PARAMETERS[kind]
    name = parameters.__name__.removesuffix("Parameters")
    given: Any = (parameters, Field(default_factory=dict, validate_default=True))
    return create_model(f"{name}RunRequest", __base__=RunRequest, parameters=given)


def body_refused(error: ValidationError) -> RequestValidationError:
    """What a body's model found, as FastAPI says it: without the values, which may be personal."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in found])


def given_in(body: BaseModel | None) -> dict[str, Any]:
    """The fields that the caller sent; none where the body may be left out and was."""
    return body.model_dump(exclude_unset=True) if body is not None else {}


async def is_new(
    gateway: Gateway, caller: Caller, kind: JobKind, *, county: str, asked: dict[str, Any], key: str | None
) -> bool:
    """Whether what is asked is no repetition of what this key stands for; refuses first who may not ask it.

    Raises:
        ForbiddenError: `county_forbidden` or `permission_denied`.
    """
    require(gateway, caller, county, permission=ask(kind, asked))
    return not await is_known(gateway, caller, county, key=key)


async def request_run(
    gateway: Gateway, caller: Caller, kind: JobKind, *, county: str, asked: dict[str, Any], key: str | None
) -> Response:
    """Ask for a run with these parameters, as `submit` does.

    Raises:
        RequestValidationError: the parameters cannot be so together.
    """
    try:
        body = run_request(kind)(county=county, parameters=PARAMETERS[kind].model_validate(asked))
    except ValidationError as error:
        raise body_refused(error) from None
    return await submit(gateway, caller, kind, body=body, key=key)
