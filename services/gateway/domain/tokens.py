"""Access tokens: JWT (RFC 7519) signed with HS256, short-lived, with the caller's grants inside."""

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from services.gateway.domain.permissions import Caller, Grant

ISSUER = "terrafusion"
ALGORITHM = "HS256"
MINIMUM_SECRET_CHARACTERS = 32


class TokenRefusedError(Exception):
    """A token that proves nothing; `code` is `token_expired` or `token_invalid`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Tokens:
    """Makes and reads the access tokens of one secret."""

    def __init__(self, secret: str, *, lifetime: timedelta) -> None:
        self._key = OctKey.import_key(secret)
        self.lifetime = lifetime
        self._verified = lru_cache(maxsize=4096)(self._verify)  # a client sends its token with every request

    def issue(self, caller: Caller, *, now: datetime) -> str:
        """A token for a caller that has just proved who it is."""
        issued = int(now.timestamp())
        claims = {
            "iss": ISSUER,
            "sub": caller.username,
            "sid": caller.session,
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
            "roles": caller.roles,
            "grants": {
                county: {"roles": list(grant.roles), "permissions": list(grant.permissions)}
                for county, grant in caller.grants.items()
            },
        }
        return jwt.encode({"alg": ALGORITHM}, claims, self._key)

    def read(self, token: str, *, now: datetime) -> Caller:
        """The caller that a token names.

        Raises:
            TokenRefusedError: `token_invalid` where we did not sign it so, `token_expired` where it is too old.
        """
        expires, caller = self._verified(token)
        if now.timestamp() >= expires:
            raise TokenRefusedError("token_expired", "the token has expired: refresh it or log in again")
        return caller

    def _verify(self, token: str) -> tuple[float, Caller]:
        try:
            return _parse(jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenRefusedError("token_invalid", "the token is not one of ours") from error


def _parse(claims: dict[str, Any]) -> tuple[float, Caller]:
    if claims["iss"] != ISSUER:
        raise ValueError("another issuer")
    grants = {
        county: Grant(tuple(grant["roles"]), tuple(grant["permissions"])) for county, grant in claims["grants"].items()
    }
    return float(claims["exp"]), Caller(str(claims["sub"]), str(claims["sid"]), grants)


def new_refresh_token() -> str:
    """An unguessable refresh token: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(refresh_token: str) -> str:
    """What is stored of a refresh token; enough to recognise it, useless to whoever reads the table."""
    return hashlib.sha256(refresh_token.encode(errors="surrogatepass")).hexdigest()
