"""Windows and blackout dates on the county's clock."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.following import Following, Window
from services.ingest.operation.windows import is_open, seconds_until_close, seconds_until_open

PACIFIC = "America/Los_Angeles"
NIGHT = Window(start=time(22), end=time(5))
HOUR = 3_600


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def following(*windows: Window, blackout_dates: tuple[str, ...] = ()) -> Following:
    return Following(windows=windows, blackout_dates=tuple(map(date.fromisoformat, blackout_dates)))


@pytest.mark.parametrize(
    ("now", "opens_in", "closes_in"),
    [
        ("2026-06-10T21:00-07:00", 1 * HOUR, 0),
        ("2026-06-10T22:00-07:00", 0, 7 * HOUR),
        ("2026-06-11T04:30-07:00", 0, HOUR / 2),
        ("2026-06-11T05:00-07:00", 17 * HOUR, 0),
        ("2026-03-07T22:00-08:00", 0, 6 * HOUR),  # the night that lacks an hour
        ("2026-10-31T22:00-07:00", 0, 8 * HOUR),  # the night that has one twice
    ],
)
def test_a_window_over_midnight(now: str, opens_in: float, closes_in: float) -> None:
    rules = following(NIGHT)
    assert seconds_until_open(rules, at(now), PACIFIC) == opens_in
    assert seconds_until_close(rules, at(now), PACIFIC) == closes_in
    assert is_open(rules, at(now), PACIFIC) == (opens_in == 0)


def test_a_window_that_ends_in_the_repeated_hour_does_not_open_again() -> None:
    rules = following(Window(start=time(22), end=time(1, 30)))
    assert is_open(rules, at("2026-11-01T01:29-07:00"), PACIFIC)
    for later in ("2026-11-01T01:30-07:00", "2026-11-01T01:00-08:00", "2026-11-01T01:29-08:00"):
        assert not is_open(rules, at(later), PACIFIC)


def test_a_window_that_begins_in_the_repeated_hour_is_open_through_it() -> None:
    rules = following(Window(start=time(1, 30), end=time(4)))
    assert seconds_until_close(rules, at("2026-11-01T01:30-07:00"), PACIFIC) == 3.5 * HOUR
    assert is_open(rules, at("2026-11-01T01:10-08:00"), PACIFIC)


def test_a_window_inside_the_hour_that_does_not_exist_is_none() -> None:
    rules = following(Window(start=time(2, 10), end=time(2, 50)))
    assert seconds_until_open(rules, at("2026-03-08T00:00-08:00"), PACIFIC) == 25 * HOUR + 600
    assert is_open(following(Window(start=time(2, 10), end=time(4))), at("2026-03-08T03:00-07:00"), PACIFIC)


def test_days_and_blackout_dates() -> None:
    weekend = following(Window(days=("sat", "sun")), blackout_dates=("2026-06-14",))
    assert is_open(weekend, at("2026-06-13T12:00-07:00"), PACIFIC)  # a Saturday
    assert seconds_until_close(weekend, at("2026-06-13T12:00-07:00"), PACIFIC) == 12 * HOUR
    assert seconds_until_open(weekend, at("2026-06-14T12:00-07:00"), PACIFIC) == (12 + 5 * 24) * HOUR
    night = following(NIGHT, blackout_dates=("2026-06-11",))
    assert seconds_until_close(night, at("2026-06-10T23:00-07:00"), PACIFIC) == HOUR  # the blackout cuts the night
    assert seconds_until_open(night, at("2026-06-11T00:00-07:00"), PACIFIC) == 24 * HOUR  # the night after it goes on


def test_no_windows_mean_always_but_on_blackout_dates() -> None:
    assert seconds_until_close(following(), at("2026-06-11T00:00-07:00"), PACIFIC) is None
    rules = following(blackout_dates=("2026-07-04",))
    assert seconds_until_close(rules, at("2026-07-03T00:00-07:00"), PACIFIC) == 24 * HOUR
    assert seconds_until_open(rules, at("2026-07-04T01:00-07:00"), PACIFIC) == 23 * HOUR


def test_a_window_that_never_opens() -> None:
    assert seconds_until_open(following(Window(days=())), at("2026-06-11T00:00-07:00"), PACIFIC) is None


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))
windows = st.lists(
    st.builds(
        Window,
        days=st.sets(st.sampled_from(["mon", "wed", "sat", "sun"]), min_size=1).map(tuple),
        start=times,
        end=times,
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(moments, windows, st.lists(st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=4))
def test_what_opens_is_open_until_it_closes(now: datetime, chosen: list[Window], closed: list[date]) -> None:
    rules = Following(windows=tuple(chosen), blackout_dates=tuple(closed))
    seconds = seconds_until_open(rules, now, PACIFIC)
    if seconds is None:
        return
    opens = now + timedelta(seconds=seconds)
    assert is_open(rules, opens, PACIFIC)
    assert opens.astimezone(ZoneInfo(PACIFIC)).date() not in closed
    if seconds:
        assert not is_open(rules, opens - timedelta(seconds=1), PACIFIC)
    lasts = seconds_until_close(rules, opens, PACIFIC)
    if lasts is not None:
        assert lasts > 0
        assert is_open(rules, opens + timedelta(seconds=lasts) - timedelta(seconds=1), PACIFIC)
        assert not is_open(rules, opens + timedelta(seconds=lasts), PACIFIC)
