"""`terrafusion users …`: local accounts."""

# The gateway's libraries take long to import: commands import them when they run.
# ruff: noqa: PLC0415

import asyncio
import sys
from typing import Annotated

import typer

from clients.sdk.connection import database_url, refuse, servers

users_app = typer.Typer(name="users", help="Local accounts.", no_args_is_help=True)


@users_app.command("create")
def users_create(
    username: Annotated[str, typer.Argument(help="As in the county's users file, which grants the roles.")],
    *,
    administrator: Annotated[bool, typer.Option(help="Also let the account administer every county.")] = False,
) -> None:
    """Make an account, or change its password; the password is asked for, or read from a pipe."""
    from chassis.errors import PermanentError
    from services.gateway.accounts import ensure_administrator, set_password

    if sys.stdin.isatty():
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    action = ensure_administrator if administrator else set_password
    try:
        with servers():
            asyncio.run(action(database_url(), username, password))
    except PermanentError as error:
        refuse(error.message)
    print(f"{username} may log in")
