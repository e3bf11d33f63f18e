"""Logging in, and who one is."""

from pydantic import Field, SecretStr

from contracts.api.base import Answer, Request


class LoginRequest(Request):
    """Local credentials."""

    username: str = Field(min_length=1, max_length=200)
    password: SecretStr = Field(max_length=1000)


class RefreshRequest(Request):
    """A refresh token, to get a new pair or to end the login."""

    refresh_token: str = Field(max_length=4096)


class Tokens(Answer):
    """A bearer token for requests and a longer-lived one to renew it; `expires_in` in seconds."""

    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 the OAuth 2.0 name of the type, no secret
    expires_in: int


class Me(Answer):
    """The caller, and what the caller may do in each county."""

    username: str
    roles: list[str]
    counties: dict[str, list[str]] = Field(description="county to permissions; `*` stands for every county")
