"""How long a message waits for its next try."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from chassis.middleware import Deliveries

SECOND = timedelta(seconds=1)


@given(st.integers(min_value=1, max_value=10_000))
def test_the_wait_doubles_up_to_a_minute(tries: int) -> None:
    deliveries = Deliveries(service="market", beat=SECOND, attempts=5, retry_delay=SECOND)
    expected = min(2.0 ** min(tries - 1, 30), 60.0)
    assert 0.8 * expected <= deliveries.wait_seconds(tries) <= 1.2 * expected
