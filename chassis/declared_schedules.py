"""The schedules that a county's files declare: `schedules` of county.yaml, and how its pairs are to be polled."""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from chassis import schedule_queries as queries
from chassis import schedules
from chassis.counties import county_names, load_county, read_yaml
from chassis.cron import next_due
from chassis.database import Database, UnitOfWork
from chassis.errors import PermanentError
from contracts.mapping import CountyMappings
from contracts.schedules import Schedule
from contracts.subjects import JobKind

log = logging.getLogger(__name__)
COUNTY_FILE, MAPPINGS = "county_file", "mappings"
Declared = dict[str, tuple[Schedule, str]]


def declared(counties_dir: Path, county: str, now: datetime) -> Declared:
    """A county's declared schedules by name, with the file that each stands in.

    Raises:
        PermanentError: `county_file_invalid`, `mapping_invalid`, or as `schedules.check`.
    """
    file = load_county(counties_dir, county)
    found = {schedule.name: (schedule, COUNTY_FILE) for schedule in file.schedules}
    for poll in _polls(counties_dir / county / "mappings.yaml"):
        if poll.name in found:
            raise PermanentError("schedule_repeated", f"{poll.name} is the name of a pair's own schedule")
        found[poll.name] = (poll, MAPPINGS)
    for schedule, _ in found.values():
        schedules.check(schedule, file.time_zone, now)
    return found


def _polls(path: Path) -> list[Schedule]:
    """A schedule for each pair that is followed by itself."""
    if not path.exists():
        return []
    try:
        pairs = CountyMappings.model_validate(read_yaml(path)).pairs
    except (ValidationError, yaml.YAMLError) as error:
        raise PermanentError("mapping_invalid", f"{path.name} of {path.parent.name} is not valid") from error
    return [
        Schedule(
            name=f"poll-{pair.pair}",
            kind=JobKind.SYNC,
            parameters={"pair": pair.pair, "mode": "incremental"},
            cron=pair.following.poll_cron,
            every_seconds=pair.following.poll_every_seconds,
        )
        for pair in pairs
        if pair.following.poll_cron is not None or pair.following.poll_every_seconds is not None
    ]


class Files:
    """Compares the counties' files with what is stored whenever one has changed."""

    def __init__(self, database: Database, counties_dir: Path) -> None:
        self.database = database
        self.counties_dir = counties_dir
        self._seen: dict[str, list[int]] = {}

    async def look(self) -> None:
        """Take over what has changed; a file that cannot be read changes nothing."""
        for county in county_names(self.counties_dir):
            stamp = self._stamp(county)
            if self._seen.get(county) == stamp:
                continue
            try:
                async with self.database.begin(county) as unit:
                    await declare(unit, self.counties_dir, county)
            except PermanentError as error:
                log.error(  # noqa: TRY400 a person has to mend the file; where it was found says nothing
                    "schedules stay as they were", extra={"county": county, "code": error.code, "reason": error.message}
                )
            self._seen[county] = stamp

    def _stamp(self, county: str) -> list[int]:
        paths = (self.counties_dir / county / name for name in ("county.yaml", "mappings.yaml"))
        return [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]


async def declare(unit: UnitOfWork, counties_dir: Path, county: str) -> None:
    """Let a county's schedules be what its files declare; those that people made stay, in the county's time zone.

    Raises:
        PermanentError: as `declared`; nothing has changed.
    """
    await queries.lock_county(unit.connection, county)
    now = await queries.clock(unit.connection)
    wanted = declared(counties_dir, county, now)
    time_zone = load_county(counties_dir, county).time_zone
    stored = {row["name"]: row for row in await queries.list_schedules(unit.connection, county)}
    for name, row in stored.items():
        if name not in wanted and row["origin"] != schedules.API:
            await queries.delete_schedule(unit.connection, county, name)
        elif name not in wanted and row["time_zone"] != time_zone:
            wanted[name] = (schedules.to_schedule(row), schedules.API)
    for name, (schedule, origin) in wanted.items():
        values = schedules.columns(schedule, county, origin=origin, time_zone=time_zone)
        await _store(unit, values, schedule, stored.get(name), now)


async def _store(
    unit: UnitOfWork, values: dict[str, Any], schedule: Schedule, known: queries.Row | None, now: datetime
) -> None:
    """Write what is new or differs; when it is due next changes only where its rhythm does."""
    rhythm = ("cron", "every_seconds", "time_zone")
    if known is not None and all(known[name] == values[name] for name in rhythm):
        due = known["next_due_at"]
    else:
        due = next_due(schedule, values["time_zone"], now)
    row = {**values, "next_due_at": due, "created_by": values["origin"]}
    if known is None:
        await queries.insert_schedule(unit.connection, unit.county, row)
    elif any(known[name] != value for name, value in values.items() if name != "id"):
        await queries.update_schedule(unit.connection, unit.county, row)
