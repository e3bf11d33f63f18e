"""`terrafusion dlq …`: messages that could not be handled."""

# Server libraries take long to import: commands import them when they run.
# ruff: noqa: PLC0415

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from clients.sdk.connection import bus, database_url, refuse, servers
from clients.sdk.output import console, listing

if TYPE_CHECKING:
    from chassis.deadletters import StoredLetter

dlq_app = typer.Typer(name="dlq", help="Messages that could not be handled: list, redrive.", no_args_is_help=True)


@dlq_app.command("list")
def dlq_list(
    *,
    county: Annotated[str | None, typer.Option(help="Only this county's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
) -> None:
    """List dead letters with their reasons."""
    table = listing("number", "when", "county", "service", "code", "reason", "job", whole=["number", "job"])
    with servers():
        letters = asyncio.run(_list(county, limit))
    for stored in letters:
        letter = stored.letter
        when = letter.occurred_at.isoformat(timespec="seconds")
        told = (letter.county, letter.service, letter.code, letter.reason)
        table.add_row(str(stored.sequence), when, *told, str(letter.job_id or ""))
    console.print(table)


@dlq_app.command("redrive")
def dlq_redrive(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers of dead letters, as `dlq list` shows.")] = None,
    *,
    county: Annotated[str | None, typer.Option(help="All of this county's.")] = None,
) -> None:
    """Send messages back: a job is queued again, another message goes to its subject again."""
    if bool(numbers) == bool(county):
        refuse("name dead letters by number, or a county, not both")
    with servers():
        well = asyncio.run(_redrive(numbers or [], county))
    if not well:
        raise typer.Exit(1)


async def _list(county: str | None, limit: int) -> "list[StoredLetter]":
    from chassis.deadletters import list_dead_letters

    async with bus("dlq") as client:
        return await list_dead_letters(client.jetstream(), county, limit)


async def _redrive(numbers: list[int], county: str | None) -> bool:
    """Redrive each; says what became of it, and whether all were there."""
    from chassis.database import Database
    from chassis.deadletters import list_dead_letters, redrive
    from chassis.errors import PermanentError

    database = Database(database_url(), service="relay", pool_size=2)
    well = True
    try:
        await database.open()
        async with bus("dlq") as client:
            if county is not None:
                letters = await list_dead_letters(client.jetstream(), county, 100_000)
                numbers = sorted(stored.sequence for stored in letters)
            for number in numbers:
                try:
                    outcome = await redrive(database, client.jetstream(), number)
                except PermanentError as error:
                    print(f"{number}: {error.message} ({error.code})")
                    well = False
                else:
                    print(f"{number}: {outcome.value}")
    finally:
        await database.close()
    return well
