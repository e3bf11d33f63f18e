"""Every error of the gateway: problem details (RFC 9457) with a stable code."""

from typing import Any

from pydantic import Field

from contracts.api.base import Answer


class FieldProblem(Answer):
    """One field that was refused."""

    field: str
    message: str


class Problem(Answer):
    """An error as `application/problem+json`."""

    type: str = Field(description="a URI reference that names the kind of problem")
    title: str
    status: int
    detail: str
    code: str = Field(description="stable and made for programs")
    errors: list[FieldProblem] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
