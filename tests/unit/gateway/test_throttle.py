from services.gateway.domain.throttle import LoginThrottle

KEY = ("ann", "10.0.0.1")


def test_the_attempts_of_a_window_are_counted() -> None:
    throttle = LoginThrottle(attempts=3, window_seconds=60)
    assert [throttle.attempt(KEY, now=second) for second in (0, 10, 20)] == [0, 0, 0]
    assert throttle.attempt(KEY, now=30) == 30
    assert throttle.attempt(KEY, now=60) == 0


def test_others_are_not_slowed_down() -> None:
    throttle = LoginThrottle(attempts=1, window_seconds=60)
    throttle.attempt(KEY, now=0)
    assert throttle.attempt(KEY, now=1) > 0
    assert throttle.attempt(("ann", "10.0.0.2"), now=1) == 0
    assert throttle.attempt(("bob", "10.0.0.1"), now=1) == 0


def test_success_starts_anew() -> None:
    throttle = LoginThrottle(attempts=1, window_seconds=60)
    throttle.attempt(KEY, now=0)
    throttle.forget(KEY)
    assert throttle.attempt(KEY, now=1) == 0


def test_memory_is_bounded() -> None:
    throttle = LoginThrottle(attempts=1, window_seconds=60, keys=100)
    for number in range(1000):
        throttle.attempt((f"user{number}", "10.0.0.1"), now=0)
    assert len(throttle._known) == 100
