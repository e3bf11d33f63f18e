"""When schedules are due, against a clock that is watched minute by minute."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chassis.cron import instant, next_due, next_fire, next_multiple
from chassis.errors import PermanentError
from contracts.schedules import Schedule

PACIFIC = "America/Los_Angeles"
#: the hour around which the clocks of the zone change, in UTC
CHANGES = [
    (PACIFIC, datetime(2026, 3, 8, 10, tzinfo=UTC)),
    (PACIFIC, datetime(2026, 11, 1, 9, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 11, 7, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),  # half an hour
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("America/Phoenix", datetime(2026, 3, 8, 10, tzinfo=UTC)),  # never
]
minute_sets = st.sets(st.integers(0, 59), min_size=1, max_size=4)
hour_sets = st.sets(st.integers(0, 23), min_size=1, max_size=6) | st.just(set[int]())  # none: every hour


def field(values: set[int]) -> str:
    return ",".join(map(str, sorted(values))) or "*"


def fires(expression: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    due = next_fire(expression, zone, start)
    while due is not None and due <= end:
        yield due
        due = next_fire(expression, zone, due)


def watched(minutes: set[int], hours: set[int], zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """What a person would expect who watches the clock on the wall from `start` on."""
    expected = set()
    shown: set[datetime] = set()
    previous: datetime | None = None
    for number in itertools.count(-180):  # the clock has been watched for three hours before
        now = start + timedelta(minutes=number)
        if now > end:
            break
        wall = now.astimezone(zone).replace(tzinfo=None, fold=0)
        skipped = []
        if previous is not None and wall - previous > timedelta(minutes=1):
            skipped = [previous + timedelta(minutes=n) for n in range(1, int((wall - previous).total_seconds() // 60))]
        if hours:
            named = [time for time in (*skipped, wall) if time.minute in minutes and time.hour in hours]
            is_due = any(time not in shown for time in named)
        else:
            is_due = wall.minute in minutes
        if is_due and now > start:
            expected.add(now)
        shown.add(wall)
        previous = wall
    return sorted(expected)


@settings(max_examples=150, deadline=None)
@example(
    change=("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    minutes={30},
    hours=set(),
    offset=-1,
    has_seconds=False,
)
@given(
    change=st.sampled_from(CHANGES),
    minutes=minute_sets,
    hours=hour_sets,
    offset=st.integers(-26 * 60, 4 * 60),
    has_seconds=st.booleans(),
)
def test_schedules_fire_as_the_clock_on_the_wall_says(
    change: tuple[str, datetime], minutes: set[int], hours: set[int], offset: int, *, has_seconds: bool
) -> None:
    zone, around = change
    start = around + timedelta(minutes=offset)
    end = start + timedelta(hours=30)
    expression = f"{'0 ' if has_seconds else ''}{field(minutes)} {field(hours)} * * *"
    assert list(fires(expression, zone, start, end)) == watched(minutes, hours, ZoneInfo(zone), start, end)


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("30 2 * * *", "2026-03-08T00:00-08:00", ["2026-03-08T03:00-07:00", "2026-03-09T02:30-07:00"]),
        ("*/10 2 * * *", "2026-03-08T00:00-08:00", ["2026-03-08T03:00-07:00", "2026-03-09T02:00-07:00"]),
        ("30 1 * * *", "2026-11-01T00:00-07:00", ["2026-11-01T01:30-07:00", "2026-11-02T01:30-08:00"]),
        ("30 1 * * *", "2026-11-01T01:40-07:00", ["2026-11-02T01:30-08:00", "2026-11-03T01:30-08:00"]),
        ("0 * * * *", "2026-11-01T00:30-07:00", ["2026-11-01T01:00-07:00", "2026-11-01T01:00-08:00"]),
        ("0 6 * * MON-FRI", "2026-11-20T06:00-08:00", ["2026-11-23T06:00-08:00", "2026-11-24T06:00-08:00"]),
        ("0 3 L * *", "2026-02-01T00:00-08:00", ["2026-02-28T03:00-08:00", "2026-03-31T03:00-07:00"]),
        ("*/30 * * * * *", "2026-11-01T01:59:40-07:00", ["2026-11-01T01:00-08:00", "2026-11-01T01:00:30-08:00"]),
    ],
)
def test_nights_and_weeks(expression: str, start: str, expected: list[str]) -> None:
    first = next_fire(expression, PACIFIC, datetime.fromisoformat(start))
    assert first is not None
    second = next_fire(expression, PACIFIC, first)
    assert [first, second] == [datetime.fromisoformat(text) for text in expected]


@given(
    seconds=st.integers(1, 86_400),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_fixed_rhythm_is_the_same_for_whoever_computes_it(seconds: int, after: datetime) -> None:
    due = next_multiple(seconds, after)
    assert after < due <= after + timedelta(seconds=seconds)
    assert due.timestamp() % seconds == 0
    schedule = Schedule(name="poll", kind="sync", every_seconds=seconds)
    assert next_due(schedule, PACIFIC, after) == due


@pytest.mark.parametrize("expression", ["", "x", "* * * *", "61 * * * *", "* * * * * * *", "0 0 30 2 *", "@daily"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(PermanentError) as caught:
        next_fire(expression, PACIFIC, datetime(2026, 1, 1, tzinfo=UTC))
    assert caught.value.code == "cron_invalid"


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(PermanentError) as caught:
        next_fire("0 0 * * *", "America/Atlantis", datetime(2026, 1, 1, tzinfo=UTC))
    assert caught.value.code == "time_zone_unknown"


def test_a_time_that_never_comes_is_never_due() -> None:
    assert next_fire("0 0 30 2 MON", PACIFIC, datetime(2026, 1, 1, tzinfo=UTC)) is not None  # a Monday in February
    assert next_fire("0 0 * 2 MON#5", "UTC", datetime(9_950, 1, 1, tzinfo=UTC)) is None


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))  # noqa: DTZ001
def test_an_instant_is_the_time_on_the_wall_or_the_next_that_exists(wall: datetime) -> None:
    zone = ZoneInfo(PACIFIC)
    shown = instant(wall, zone).astimezone(zone)
    assert shown.fold == 0
    if shown.replace(tzinfo=None) != wall:
        assert (wall.hour, shown.hour, shown.minute) == (2, 3, 0)
