"""Local accounts: passwords (argon2), grants, logins that can be renewed and revoked."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from pwdlib import PasswordHash

from chassis.database import Database
from chassis.errors import PermanentError, UnauthenticatedError
from chassis.outbox import new_id
from contracts.api.auth import Tokens as TokensAnswer
from services.gateway import queries
from services.gateway.directory import read_grants
from services.gateway.domain.permissions import EVERY_COUNTY, Caller
from services.gateway.domain.tokens import Tokens, digest, new_refresh_token

MINIMUM_PASSWORD_CHARACTERS = 8
_USERNAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}$")
_hashing = PasswordHash.recommended()
_hashers = asyncio.Semaphore(2)  # a hash takes 64 MiB and a processor: a flood of logins must not take them all


async def set_password(database_url: str, username: str, password: str) -> None:
    """Create an account or change its password; its logins end.

    Raises:
        PermanentError: `username_invalid` or `password_too_short`.
    """
    async with _opened(database_url) as database:
        await _set_password(database, username, password)


async def ensure_administrator(
    database_url: str, username: str, password: str, *, roles: Sequence[str] = ("system_admin",)
) -> None:
    """Make an account with this password that administers every county."""
    async with _opened(database_url) as database:
        await _set_password(database, username, password)
        async with database.begin(EVERY_COUNTY) as unit:
            await queries.save_grant(unit.connection, EVERY_COUNTY, username, roles=roles, permissions=())


async def _set_password(database: Database, username: str, password: str) -> None:
    if not _USERNAME.match(username):
        raise PermanentError("username_invalid", "a username is letters, digits and . _ @ + -, at most 200")
    if len(password) < MINIMUM_PASSWORD_CHARACTERS:
        raise PermanentError("password_too_short", f"a password has at least {MINIMUM_PASSWORD_CHARACTERS} characters")
    password_hash = await asyncio.to_thread(_hashing.hash, password)
    async with database.begin(EVERY_COUNTY) as unit:
        await queries.save_password(unit.connection, username, password_hash)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, service="gateway", pool_size=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


class Accounts:
    """Logs people in, renews their logins and ends them."""

    def __init__(self, database: Database, tokens: Tokens, *, counties_dir: Path, refresh_lifetime: timedelta) -> None:
        self._database = database
        self._tokens = tokens
        self._counties_dir = counties_dir
        self._refresh_lifetime = refresh_lifetime
        self._nobody = _hashing.hash(new_refresh_token())

    async def log_in(self, username: str, password: str) -> TokensAnswer:
        """A new login; an unknown name takes as long to refuse as a wrong password.

        Raises:
            UnauthenticatedError: `credentials_invalid`.
        """
        async with self._database.read(EVERY_COUNTY) as connection:
            row = await queries.read_user(connection, username)
        async with _hashers:
            matches = await asyncio.to_thread(_hashing.verify, password, row["password_hash"] if row else self._nobody)
        if row is None or not matches or row["disabled"]:
            raise UnauthenticatedError("credentials_invalid", "the username or the password is wrong")
        return await self._answer(username, new_id())

    async def renew(self, refresh_token: str) -> TokensAnswer:
        """A new pair of tokens for a refresh token, which cannot be used again.

        Raises:
            UnauthenticatedError: `refresh_token_invalid`; a token that comes a second time ends its whole login,
                since either it or its successor is in a thief's hands (RFC 9700, section 4.14.2).
        """
        async with self._database.begin(EVERY_COUNTY) as unit:
            row = await queries.use_refresh_token(unit.connection, digest(refresh_token))
            usable = row is not None and row["valid"] and not row["reused"]
            if row is not None and not usable:
                await queries.revoke_session(unit.connection, row["session"])
        if row is None or not usable:
            raise UnauthenticatedError("refresh_token_invalid", "the refresh token is not valid: log in again")
        return await self._answer(row["username"], row["session"])

    async def log_out(self, refresh_token: str) -> None:
        """End the login that a refresh token belongs to; one that nobody knows has ended already."""
        async with self._database.begin(EVERY_COUNTY) as unit:
            row = await queries.use_refresh_token(unit.connection, digest(refresh_token))
            if row is not None:
                await queries.revoke_session(unit.connection, row["session"])

    async def _answer(self, username: str, session: UUID) -> TokensAnswer:
        refresh_token = new_refresh_token()
        async with self._database.begin(EVERY_COUNTY) as unit:
            await queries.insert_refresh_token(
                unit.connection,
                digest(refresh_token),
                session=session,
                username=username,
                lifetime=self._refresh_lifetime,
            )
            given = await queries.read_grants(unit.connection, username)
        grants = await asyncio.to_thread(read_grants, self._counties_dir, username, [tuple(row) for row in given])
        caller = Caller(username, str(session), grants)
        return TokensAnswer(
            access_token=self._tokens.issue(caller, now=datetime.now(UTC)),
            refresh_token=refresh_token,
            expires_in=int(self._tokens.lifetime.total_seconds()),
        )
