"""Who is calling and whether they may: the token first, then the county, then the permission."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

from chassis.errors import ForbiddenError, PermanentError, UnauthenticatedError
from services.gateway.domain.permissions import EVERY_COUNTY, Caller
from services.gateway.domain.tokens import TokenRefusedError, Tokens
from services.gateway.state import Gateway

CALLER = "terrafusion.caller"


def authenticate(headers: list[tuple[bytes, bytes]], tokens: Tokens) -> Caller:
    """The caller that a request's `Authorization: Bearer` names.

    Raises:
        UnauthenticatedError: `token_missing`, `token_expired` or `token_invalid`.
    """
    value = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, token = value.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("token_missing", "send a token: Authorization: Bearer …")
    try:
        return tokens.read(token.strip(), now=datetime.now(UTC))
    except TokenRefusedError as error:
        raise UnauthenticatedError(error.code, error.message) from error


class _Bearer(SecurityBase):
    """Hands a route the caller whom the middleware has authenticated, and says so in the OpenAPI."""

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT", description="from POST /auth/login")
        self.scheme_name = "bearer"

    async def __call__(self, request: Request) -> Caller:
        caller: Caller | None = request.scope.get(CALLER)
        if caller is None:  # a route outside the middleware's paths: never let it through
            return authenticate(request.scope["headers"], request.app.state.gateway.tokens)
        return caller


bearer = _Bearer()
CurrentCaller = Annotated[Caller, Depends(bearer)]


def require(gateway: Gateway, caller: Caller, county: str, *, permission: str | None = None) -> None:
    """Refuse what the caller may not do in the county.

    A county that does not exist and one that the caller has no grant for look the same to them.

    Raises:
        ForbiddenError: `county_forbidden` or `permission_denied`.
        NotFoundError: `county_unknown`, to callers with a grant for every county.
    """
    if not caller.covers(county):
        raise ForbiddenError("county_forbidden", f"you have no grant for the county {county!r}")
    gateway.require_county(county)
    if permission is not None and not caller.may(permission, county):
        raise ForbiddenError("permission_denied", f"you lack the permission {permission} in {county}")


def choose_county(gateway: Gateway, caller: Caller, county: str | None, *, permission: str | None = None) -> str:
    """The county that a request is about: the one it names, else the only one that the caller has.

    Raises:
        PermanentError: `county_required` where there are several; and as `require`.
    """
    if county is None:
        names = list(caller.grants)
        if len(names) != 1 or names[0] == EVERY_COUNTY:
            raise PermanentError("county_required", "say which county: ?county=…", details=_counties(names))
        county = names[0]
    require(gateway, caller, county, permission=permission)
    return county


def visible_counties(caller: Caller) -> list[str]:
    """The counties to look in for something that only its id names; `*` where the caller has every county."""
    return [EVERY_COUNTY] if EVERY_COUNTY in caller.grants else list(caller.grants)


def _counties(names: list[str]) -> dict[str, Any]:
    return {"counties": sorted(names)}
