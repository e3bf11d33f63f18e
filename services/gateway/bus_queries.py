"""Asks another service for an answer at once: request and reply on the bus."""

from typing import TypeVar

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from opentelemetry import trace
from pydantic import BaseModel, ValidationError

from chassis.errors import NotFoundError, PermanentError, TransientError
from chassis.telemetry import trace_headers
from services.gateway.problems import UnansweredError
from services.gateway.state import Gateway

Answered = TypeVar("Answered", bound=BaseModel)


async def ask(gateway: Gateway, subject: str, question: BaseModel, answer: type[Answered]) -> Answered:
    """The answer of the service that hears the subject.

    Raises:
        UnansweredError: `answer_timeout`, nobody answered in time.
        PermanentError: the service's own refusal, with its code.
        TransientError: `answer_invalid`, what came is not what the contract says.
    """
    headers = {"content-type": "application/json", **trace_headers(trace.get_current_span())}
    wait_seconds = gateway.settings.answer_wait.total_seconds()
    body = question.model_dump_json(exclude_none=True).encode()
    try:
        reply = await gateway.client.request(subject, body, timeout=wait_seconds, headers=headers)
    except NoRespondersError as error:
        raise UnansweredError("answer_timeout", "the service that answers this is not running") from error
    except (TimeoutError, NatsTimeoutError) as error:
        raise UnansweredError("answer_timeout", f"no answer within {wait_seconds:.0f} s") from error
    except NatsError as error:
        raise TransientError("bus_unavailable", "the message bus does not answer; try again") from error
    try:
        return answer.model_validate_json(reply.data)
    except ValidationError as error:
        raise _refusal(reply.data) from error


def _refusal(body: bytes) -> Exception:
    """A reply that is no answer is the service's refusal."""
    try:
        refused = _Refusal.model_validate_json(body)
    except ValidationError:
        return TransientError("answer_invalid", "the answer is not what the contract says")
    if refused.code == "internal_error":
        return TransientError("answer_failed", "the service that answers this failed")
    kind = NotFoundError if refused.code.endswith(("_unknown", "_not_found")) else PermanentError
    return kind(refused.code, refused.detail)


class _Refusal(BaseModel):
    """A problem as it travels on the bus."""

    code: str
    detail: str
