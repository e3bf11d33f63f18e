"""`POST /api/v1/<kind>/run` for each kind, with the kind's own parameters in the contract."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import Response

from contracts.api.jobs import Job, RunRequest
from contracts.subjects import JobKind
from services.gateway.access import CurrentCaller, bearer
from services.gateway.run_requests import body_refused, run_request
from services.gateway.state import gateway_of
from services.gateway.submission import submit

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="same key and same body: the same job, made once")
]


class RunRoute(APIRoute):
    """Hands the endpoint its arguments without FastAPI's general machinery, which costs more than the rest.

    The endpoint's signature is still what the OpenAPI describes; the body is read by its model in one step.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        model: type[RunRequest] = inspect.signature(self.endpoint).parameters["body"].annotation

        async def handle(request: Request) -> Response:
            try:
                body = model.model_validate_json(await request.body())
            except ValidationError as error:
                raise body_refused(error) from None
            key = request.headers.get("idempotency-key")
            response: Response = await self.endpoint(request, body, await bearer(request), key)
            return response

        return handle


router = APIRouter(prefix="/api/v1", tags=["jobs"], route_class=RunRoute)


def _route(kind: JobKind) -> Callable[..., Awaitable[Response]]:
    body_model = run_request(kind)

    async def run(
        request: Request,
        body: body_model,  # type: ignore[valid-type]
        caller: CurrentCaller,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        return await submit(gateway_of(request), caller, kind, body=body, key=idempotency_key)

    run.__doc__ = f"Ask for a {kind} job; 202 with its place in `Location`."
    return run


for _kind in JobKind:
    router.add_api_route(
        f"/{_kind.route}/run",
        _route(_kind),
        methods=["POST"],
        status_code=202,
        response_model=Job,
        operation_id=f"run_{_kind}",
        summary=f"Run {_kind}",
    )
