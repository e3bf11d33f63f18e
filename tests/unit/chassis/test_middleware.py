"""What becomes of a message that was not handled, and how long it waits for its next try."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from chassis.errors import PermanentError
from chassis.middleware import Deliveries, RetryLaterError

SECOND = timedelta(seconds=1)


def deliveries() -> Deliveries:
    return Deliveries(service="market", beat=SECOND, attempts=5, retry_delay=SECOND)


@given(st.integers(min_value=1, max_value=10_000))
def test_the_wait_doubles_up_to_a_minute(tries: int) -> None:
    expected = min(2.0 ** min(tries - 1, 30), 60.0)
    assert 0.8 * expected <= deliveries().wait_seconds(tries) <= 1.2 * expected


class Bus:
    """Takes dead letters, or is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.letters: list[bytes] = []

    async def publish(self, subject: str, body: bytes, **_: Any) -> Any:
        if self.away:
            raise ConnectionError
        self.letters.append(body)
        return SimpleNamespace(duplicate=False)


class Delivery:
    """A delivered message that writes down how it was answered."""

    subject = "job.market.requested.benton"
    reply = "$JS.ACK.JOBS.market"
    data = b"{}"
    headers = None

    def __init__(self, tries: int, *, deaf: bool = False) -> None:
        sequence = SimpleNamespace(stream=7)
        self.metadata = SimpleNamespace(
            num_delivered=tries, stream="JOBS", consumer="market", sequence=sequence, timestamp=datetime.now(UTC)
        )
        self.raw_message = self
        self.deaf = deaf
        self.answers: list[str] = []

    async def decode(self) -> bytes:
        return self.data

    async def ack(self) -> None:
        await self.answer("ack")

    async def nak(self, *, delay: float) -> None:
        await self.answer("nak" if delay > 0 else "nak at once")

    async def term(self) -> None:
        await self.answer("term")

    async def in_progress(self) -> None:
        await self.answer("in progress")

    async def answer(self, answer: str) -> None:
        if self.deaf:
            raise ConnectionError
        self.answers.append(answer)


async def treat(delivery: Delivery, bus: Bus, error: Exception | None) -> None:
    async def handle(_: Any) -> None:
        if error is not None:
            raise error

    treated = deliveries()
    treated.jetstream = bus  # type: ignore[assignment]
    middleware = treated.middleware()(delivery, context=None)  # type: ignore[arg-type]
    await middleware.consume_scope(handle, delivery)  # type: ignore[arg-type]
    assert treated.tasks == set()


@pytest.mark.parametrize(
    ("tries", "error", "answer", "letters"),
    [
        (1, None, "ack", 0),
        (99, RetryLaterError(3), "nak", 0),
        (1, KeyError("x"), "nak", 0),
        (5, KeyError("x"), "term", 1),
        (1, PermanentError("no", "no"), "term", 1),
        (99, ConnectionRefusedError(), "nak", 0),
    ],
)
async def test_how_a_message_is_answered(tries: int, error: Exception | None, answer: str, letters: int) -> None:
    delivery, bus = Delivery(tries), Bus()
    await treat(delivery, bus, error)
    assert (delivery.answers, len(bus.letters)) == ([answer], letters)


async def test_a_letter_that_the_bus_does_not_take_keeps_its_message() -> None:
    delivery = Delivery(1)
    await treat(delivery, Bus(away=True), PermanentError("no", "no"))
    assert delivery.answers == ["nak"]


async def test_an_answer_that_does_not_arrive_makes_no_failure_of_a_success() -> None:
    bus = Bus()
    await treat(Delivery(99, deaf=True), bus, None)
    assert bus.letters == []


async def test_a_letter_does_not_repeat_what_an_unforeseen_error_says() -> None:
    bus = Bus()
    await treat(Delivery(5), bus, KeyError("Jane Doe"))
    assert b"Jane Doe" not in bus.letters[0]
    assert b'"reason":"KeyError"' in bus.letters[0]


class Question(Delivery):
    """A message on core NATS whose sender waits at an inbox."""

    subject = "query.valuation.comparables.benton"
    reply = "_INBOX.somebody"


class Asked(BaseModel):
    """What a query must hold."""

    parcel_id: str


async def ask(error: Exception | None, *, undecodable: bool = False) -> Any:
    async def handle(_: Any) -> Any:
        if error is not None:
            raise error
        return {"answer": 42}

    question = Question(1)
    if undecodable:

        async def broken() -> bytes:
            raise ValueError("secret")

        question.decode = broken  # type: ignore[method-assign]
    middleware = deliveries().middleware()(None, context=None)  # type: ignore[arg-type]
    answer = await middleware.consume_scope(handle, question)
    assert question.answers == []  # nobody acknowledges core NATS
    return answer


def invalid() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Asked.model_validate({"parcel_id": ["secret"]})
    return caught.value


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermanentError("parcel_unknown", "there is no such parcel"), "parcel_unknown"),
        (invalid(), "query_invalid"),
        (RuntimeError("secret"), "internal_error"),
    ],
)
async def test_a_query_that_fails_is_answered_with_a_problem(error: Exception, code: str) -> None:
    problem = await ask(error)
    assert problem["code"] == code
    assert problem["detail"]
    assert "secret" not in str(problem)


async def test_a_query_that_is_no_json_is_answered_with_a_problem() -> None:
    problem = await ask(None, undecodable=True)
    assert problem["code"] == "message_invalid"
    assert "secret" not in str(problem)


async def test_a_query_is_answered() -> None:
    assert await ask(None) == {"answer": 42}
