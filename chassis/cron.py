"""When a schedule is due: cron expressions on a county's clock, in the nights that lack an hour or have one twice too.

An expression whose hour field begins with `*` means elapsed time and goes on through a repeated hour. Any other names
times of the clock: one that exists twice counts the first time, and one that does not exist is due at the next instant
that does. This is Debian's rule (`man 8 cron`), but that a minute field of `*` does not make a named hour elapsed time.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from chassis.errors import PermanentError
from contracts.schedules import Schedule

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LAST_YEAR = 9_900  # cronsim looks fifty years ahead, and the calendar of datetime ends


def next_due(schedule: Schedule, time_zone: str, after: datetime) -> datetime | None:
    """The first time after `after` that the schedule is due, in UTC; null: never again (in fifty years)."""
    if schedule.every_seconds is not None:
        return next_multiple(schedule.every_seconds, after)
    assert schedule.cron is not None
    return next_fire(schedule.cron, time_zone, after)


def next_multiple(seconds: int, after: datetime) -> datetime:
    """The first whole multiple of so many seconds since 1970 after a time."""
    return datetime.fromtimestamp((int(after.timestamp()) // seconds + 1) * seconds, UTC)


def next_fire(expression: str, time_zone: str, after: datetime) -> datetime | None:
    """The first time after `after` that an expression names on the clock of a time zone, in UTC.

    Raises:
        PermanentError: `cron_invalid`, `time_zone_unknown`.
    """
    try:
        zone = ZoneInfo(time_zone)
        return next((due for due in _fires(expression, zone, after) if due > after), None)
    except CronSimError as error:
        raise PermanentError("cron_invalid", f"{expression!r} is no cron expression: {error}") from error
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise PermanentError("time_zone_unknown", f"{time_zone!r} is no time zone") from error


def _fires(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Instants that the expression names from about `after` on, in order."""
    if after.year > LAST_YEAR:
        return
    local = after.astimezone(zone)
    fields = expression.split()
    if len(fields) in {5, 6} and fields[-4].startswith("*"):
        # six fields keep cronsim from its rule for `0 * * * *`, which would leave out the repeated hour
        yield from _elapsed(expression if len(fields) == 6 else f"0 {expression}", zone, after)
        return
    for wall in CronSim(expression, local.replace(tzinfo=None, fold=0)):
        yield instant(wall, zone)


def _elapsed(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Every time that the clock shows what is named, going on from where the clock was set.

    Each stretch between two settings of the clock has times of its own: some zones move by half an hour.
    """
    moment, offset = after.astimezone(UTC), _offset(zone, after)
    while True:
        for wall in CronSim(expression, (moment + offset).replace(tzinfo=None)):
            due = wall.replace(tzinfo=UTC) - offset
            if _offset(zone, due) != offset:
                change = _change(zone, moment, due)
                moment, offset = change - SECOND, _offset(zone, change)
                break
            yield due
            moment = due
        else:
            return


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """When the clock is set for the first time between two instants, to the second."""
    first = _offset(zone, early)
    while late - early > SECOND:
        middle = early + timedelta(seconds=(late - early).total_seconds() // 2)
        early, late = (middle, late) if _offset(zone, middle) == first else (early, middle)
    return late


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a time on the wall, in UTC: the first of two, the next that exists where there is none."""
    moment = wall.replace(tzinfo=zone, fold=0)
    if is_real(moment):
        return moment.astimezone(UTC)
    moment = moment.replace(second=0, microsecond=0)
    while not is_real(moment):
        moment += MINUTE
    return moment.astimezone(UTC)


def is_real(moment: datetime) -> bool:
    """Whether the clock of the moment's zone ever shows it."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo).replace(fold=0) == moment.replace(fold=0)
