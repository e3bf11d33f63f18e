"""The row rate, retries, the breaker, and what a run does between batches."""

import threading
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import JobStoppedError, PermanentError, PostponedError, TransientError
from contracts.following import Following, Window
from services.ingest.operation.breaker import FAILURES_ALLOWED, LONGEST_PAUSE, Breaker
from services.ingest.operation.pace import Pace
from services.ingest.operation.rate import RowRate
from services.ingest.operation.retries import LONGEST_SECONDS, backoff_seconds, try_again

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@given(
    rate=st.integers(1, 100_000),
    batches=st.lists(st.tuples(st.integers(0, 60_000), st.floats(0, 10)), min_size=1, max_size=50),
)
def test_no_more_rows_are_read_than_the_rate_allows(rate: int, batches: list[tuple[int, float]]) -> None:
    clock = Clock()
    bucket = RowRate(rate, clock=clock)
    total = 0
    for rows, idle_seconds in batches:
        assert total <= rate * (clock.seconds + 1) * (1 + 1e-9) + 1e-6  # what was read before this batch is paid for
        total += rows
        clock.seconds += idle_seconds + bucket.wait_seconds(rows)
    assert total <= rate * (clock.seconds + 1) * (1 + 1e-9) + 1e-6


def test_reading_at_the_rate_costs_no_more_time_than_it_must() -> None:
    clock = Clock()
    bucket = RowRate(1_000, clock=clock)
    for _ in range(20):
        clock.seconds += bucket.wait_seconds(1_000)
    assert clock.seconds == pytest.approx(19)


def test_without_a_rate_nothing_waits() -> None:
    assert RowRate(None).wait_seconds(10**9) == 0


@given(st.integers(1, 1_000), st.floats(0, 1, exclude_max=True))
def test_backoff_grows_to_its_limit_with_jitter(failures: int, draw: float) -> None:
    seconds = backoff_seconds(failures, draw=lambda: draw)
    assert 0 < seconds <= LONGEST_SECONDS
    assert seconds <= 2 * backoff_seconds(failures, draw=lambda: 0.0)
    assert backoff_seconds(failures + 1, draw=lambda: draw) >= seconds


def failing(errors: list[Exception]) -> tuple[list[float], object]:
    waits: list[float] = []

    def action() -> str:
        if errors:
            raise errors.pop(0)
        return "read"

    return waits, try_again(action, waits.append, draw=lambda: 0.0)


def test_what_is_transient_is_tried_again() -> None:
    locked = [TransientError("source_locked", "") for _ in range(3)]
    assert failing(list(locked)) == ([0.25, 0.5, 1.0], "read")
    with pytest.raises(TransientError):
        failing([*locked, TransientError("source_locked", "")])
    with pytest.raises(PermanentError):
        failing([PermanentError("source_forbidden", "")])


def test_what_would_not_help_is_not_repeated() -> None:
    waits: list[float] = []

    def lost() -> None:
        raise TransientError("source_unavailable", "")

    with pytest.raises(TransientError):
        try_again(lost, waits.append, when=lambda error: error.code == "source_locked")
    assert waits == []


def test_the_breaker_opens_probes_and_closes() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_ALLOWED - 1):
        breaker = breaker.failed(NOW)
        assert breaker.status(NOW) == "closed"
    breaker = breaker.failed(NOW)
    assert breaker.status(NOW) == "open"
    assert breaker.wait_seconds(NOW) == 60
    later = NOW + timedelta(seconds=60)
    assert breaker.status(later) == "half_open"
    again = breaker.failed(later)
    assert (again.status(later), again.wait_seconds(later)) == ("open", 120)
    assert Breaker().status(later) == "closed"


@given(st.integers(FAILURES_ALLOWED, 500), st.floats(0, 1))
def test_the_pause_has_a_limit(failures: int, spread: float) -> None:
    pause = Breaker(failures).failed(NOW, spread=spread).wait_seconds(NOW)
    assert 0 < pause <= LONGEST_PAUSE.total_seconds() * 1.1 + 1e-6


def pace(now: str, following: Following, stop: threading.Event | None = None) -> Pace:
    event = stop or threading.Event()

    def check() -> None:
        if event.is_set():
            raise JobStoppedError("job_cancelled", "")

    moment = datetime.fromisoformat(now)
    return Pace(following, "America/Los_Angeles", stop=event, check=check, clock=lambda: moment)


def test_a_run_waits_where_its_window_has_closed() -> None:
    night = Following(windows=(Window(start=time(22), end=time(5)),))
    pace("2026-06-11T04:59:59-07:00", night).between_batches()
    with pytest.raises(PostponedError) as caught:
        pace("2026-06-11T05:00:00-07:00", night).between_batches()
    assert caught.value.code == "window_closed"
    assert caught.value.wait_seconds == 17 * 3_600 + 1
    assert isinstance(caught.value, TransientError)


def test_a_job_that_is_to_stop_does_not_wait_for_its_rate() -> None:
    stop = threading.Event()
    stop.set()
    slow = pace("2026-06-11T04:00:00-07:00", Following(rows_per_second=1), stop)
    slow.count(1_000_000)
    with pytest.raises(JobStoppedError):
        slow.between_batches()
