"""When a source may be read: windows and blackout dates on the county's clock, clock changes included.

A window is a stretch of time and not a look at the clock: it opens at the first of two equal times and closes at the
first of two, so that it never opens twice in a night. A time that does not exist is the next instant that does.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chassis.cron import instant
from contracts.following import Following, Window

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FURTHEST = timedelta(days=400)
"""What does not open within this never does."""
LONGEST = timedelta(days=14)
"""What does not close within this need not be waited for."""
DAY = timedelta(days=1)
Stretch = tuple[datetime, datetime]


def is_open(following: Following, now: datetime, time_zone: str) -> bool:
    """Whether the source may be read now."""
    return seconds_until_open(following, now, time_zone) == 0


def seconds_until_open(following: Following, now: datetime, time_zone: str) -> float | None:
    """How long until the source may be read; 0: now, null: never."""
    first = next(_open_stretches(following, now, ZoneInfo(time_zone), FURTHEST), None)
    return None if first is None else max((first[0] - now.astimezone(UTC)).total_seconds(), 0.0)


def seconds_until_close(following: Following, now: datetime, time_zone: str) -> float | None:
    """How long the source may be read from now on; 0: not now, null: for longer than two weeks."""
    now = now.astimezone(UTC)
    end = now
    for start, stop in _open_stretches(following, now, ZoneInfo(time_zone), LONGEST):
        if start > end:
            break
        end = max(end, stop)
        if end >= now + LONGEST:
            return None
    return (end - now).total_seconds()


def _open_stretches(following: Following, now: datetime, zone: ZoneInfo, horizon: timedelta) -> Iterator[Stretch]:
    """Stretches of time that are open and not over, by their beginning; they may overlap."""
    now = now.astimezone(UTC)
    day = now.astimezone(zone).date() - DAY  # last night's window may still be open
    last = (now + horizon).astimezone(zone).date()
    blackouts = {stop: _day(stop, zone) for stop in following.blackout_dates}
    while day <= last:
        stretches = sorted(
            piece
            for stretch in _stretches(following.windows, day, zone)
            for piece in _without(stretch, [blackouts[d] for d in (day, day + DAY) if d in blackouts])
        )
        yield from (piece for piece in stretches if piece[1] > now)
        day += DAY


def _stretches(windows: tuple[Window, ...], day: date, zone: ZoneInfo) -> Iterator[Stretch]:
    """What opens on a day of the county."""
    if not windows:
        yield _day(day, zone)
    for window in windows:
        if DAY_NAMES[day.weekday()] in window.days:
            end_day = day if window.start < window.end else day + DAY
            yield _instant(day, window.start, zone), _instant(end_day, window.end, zone)


def _without(stretch: Stretch, closed: list[Stretch]) -> list[Stretch]:
    """What is left of a stretch; empty ones are dropped."""
    pieces = [stretch]
    for start, stop in closed:
        pieces = [piece for begin, end in pieces for piece in ((begin, min(end, start)), (max(begin, stop), end))]
    return [(begin, end) for begin, end in pieces if begin < end]


def _day(day: date, zone: ZoneInfo) -> Stretch:
    return _instant(day, time(0), zone), _instant(day + DAY, time(0), zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return instant(datetime.combine(day, at), zone)
