"""Which errors are refusals, which are outages, and what a job's record says of them."""

import asyncpg
import nats.errors
import pytest
from pydantic import BaseModel

from chassis import errors
from chassis.jobs import JobRouter, RunningJob, frames, to_error
from chassis.outages import is_outage


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFoundError, 404),
        (errors.UnauthenticatedError, 401),
        (errors.ForbiddenError, 403),
        (errors.ConflictError, 409),
        (errors.TooLargeError, 413),
        (errors.PermanentError, 422),
        (errors.TransientError, 503),
    ],
)
def test_each_refusal_has_its_status(error: type[errors.TerraFusionError], status: int) -> None:
    raised = error("some_code", "some message", details={"n": 1})
    assert (raised.http_status, raised.code, raised.details, str(raised)) == (
        status,
        "some_code",
        {"n": 1},
        "some message",
    )
    assert issubclass(error, errors.PermanentError) == (error is not errors.TransientError)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.AdminShutdownError("bye"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.InterfaceError("connection is closed"),
        nats.errors.ConnectionClosedError(),
        nats.errors.TimeoutError(),
    ],
)
def test_outages_pass(error: Exception) -> None:
    assert is_outage(error)
    assert to_error(error).code == "dependency_unavailable"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"),
        asyncpg.UniqueViolationError("duplicate"),
        asyncpg.QueryCanceledError("statement timeout"),
    ],
)
def test_mistakes_do_not_pass(error: Exception) -> None:
    assert not is_outage(error)
    assert to_error(error).code == "internal_error"


def test_a_record_holds_the_code_and_no_inner_details() -> None:
    told = to_error(errors.PermanentError("crs_unknown", "EPSG 9 is not known", details={"epsg": 9}))
    assert told.model_dump() == {"code": "crs_unknown", "message": "EPSG 9 is not known", "details": {"epsg": 9}}
    assert "Doe" not in to_error(KeyError("Jane Doe")).message
    assert to_error(errors.JobStoppedError("job_cancelled", "the job was cancelled")).code == "job_cancelled"


def test_frames_say_where_and_not_what() -> None:
    with pytest.raises(KeyError) as raised:
        fail()
    assert frames(raised.value)[-1].endswith(" fail")
    assert "Doe" not in "".join(frames(raised.value))


def fail() -> None:
    raise KeyError("Jane Doe")


def test_a_router_knows_only_the_kinds_that_exist() -> None:
    async def spy(job: RunningJob, parameters: BaseModel) -> None:
        """Never registered."""

    with pytest.raises(ValueError, match="espionage"):
        JobRouter().job("espionage", parameters=BaseModel)(spy)
