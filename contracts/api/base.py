"""What requests and answers have in common."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Request(BaseModel):
    """What a client sends: unknown keys are refused, so a misspelt option is never silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    """What the gateway sends: grows only, so clients ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page."""

    items: list[Item]
    next: str | None = None
