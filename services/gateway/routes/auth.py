"""Logging in and out, and who one is."""

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from contracts.api.auth import LoginRequest, Me, RefreshRequest, Tokens
from services.gateway.access import CurrentCaller
from services.gateway.answers import answer
from services.gateway.problems import ThrottledError
from services.gateway.state import gateway_of

router = APIRouter(prefix="/auth", tags=["auth"])
_UNCACHED = {"Cache-Control": "no-store"}


@router.post("/login", response_model=Tokens, summary="Log in with a local account")
async def log_in(request: Request, body: LoginRequest) -> Response:
    """A short-lived access token, and a refresh token to renew it with."""
    gateway = gateway_of(request)
    key = (body.username, request.client.host if request.client else "")
    if wait_seconds := gateway.throttle.attempt(key, now=time.monotonic()):
        raise ThrottledError(
            "login_throttled", "too many attempts; wait a while", details={"retry_after_seconds": int(wait_seconds) + 1}
        )
    tokens = await gateway.accounts.log_in(body.username, body.password.get_secret_value())
    gateway.throttle.forget(key)
    return answer(tokens, headers=_UNCACHED)


@router.post("/refresh", response_model=Tokens, summary="Renew a login")
async def refresh(request: Request, body: RefreshRequest) -> Response:
    """A new pair of tokens; the refresh token that was sent cannot be used again."""
    return answer(await gateway_of(request).accounts.renew(body.refresh_token), headers=_UNCACHED)


@router.post("/logout", status_code=204, summary="End a login")
async def log_out(request: Request, body: RefreshRequest) -> Response:
    """No refresh token of the login works any more; its access token runs out within minutes."""
    await gateway_of(request).accounts.log_out(body.refresh_token)
    return Response(status_code=204)


@router.get("/me", response_model=Me, summary="Who I am")
async def me(caller: CurrentCaller) -> Response:
    """The caller, and what the caller may do in each county."""
    counties = {county: sorted(caller.permissions(county)) for county in sorted(caller.grants)}
    return answer(Me(username=caller.username, roles=caller.roles, counties=counties))
