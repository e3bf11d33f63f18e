"""What the counties' users files say; read anew at every login, so a changed file counts at once."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from chassis.counties import county_names, load_users
from contracts.county import CountyUser
from services.gateway.domain.permissions import Grant, combine

log = logging.getLogger(__name__)


def read_grants(
    counties_dir: Path, username: str, given: Iterable[tuple[str, Sequence[str], Sequence[str]]]
) -> dict[str, Grant]:
    """All that a user may do: by the counties' files and by what the database adds."""
    entries = [(county, Grant(tuple(roles), tuple(permissions))) for county, roles, permissions in given]
    for county in county_names(counties_dir):
        entries += [
            (county, Grant(user.roles, user.permissions))
            for user in read_users(counties_dir, county)
            if user.username == username
        ]
    return combine(entries)


def read_users(counties_dir: Path, county: str) -> list[CountyUser]:
    """The users of one county; a file that cannot be read gives nobody anything there, and nothing elsewhere."""
    try:
        return load_users(counties_dir, county)
    except (ValueError, OSError) as error:
        log.error(  # noqa: TRY400 the text would show what the file holds
            "the county's users file cannot be read", extra={"county": county, "error_type": type(error).__name__}
        )
        return []
