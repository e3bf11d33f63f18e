"""Where a pass over a table is, so that it goes on after the last batch that was staged."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from services.ingest.sources.source import Key

Plan = Literal["load", "reread", "follow", "stream"]
"""Read for the first time; read every range again; by marker and then ranges, or by ranges alone; by a log alone."""

Step = Literal["cut", "reread", "changes", "compare", "keyless", "catch_up", "done"]

STEPS: dict[Plan, tuple[Step, ...]] = {
    "load": ("cut", "keyless", "catch_up"),
    "reread": ("reread", "keyless", "catch_up"),
    "follow": ("changes", "compare", "keyless"),
    "stream": ("changes",),
}


@dataclass(frozen=True, slots=True)
class Position:
    """The step of the plan that is under way and how far it came."""

    plan: Plan
    step: Step
    token: str | None = None
    """What the table's token will be at the end."""
    index: int = 0
    """How many of the ranges, in the order of their keys, are done."""
    after: Key | None = None
    """The upper bound of what is read of the range under way."""
    number: int = 0
    """The next free number of a range."""
    at: tuple[str, str, str] | None = None
    """The last change of a log that was read: token, sequence, operation."""

    def at_step(self, step: Step) -> Self:
        """At the beginning of a step."""
        return replace(self, step=step, index=0, after=None, at=None)

    def at_next_step(self) -> Self:
        """At the beginning of the step behind the one under way."""
        steps = (*STEPS[self.plan], "done")
        return self.at_step(steps[steps.index(self.step) + 1])

    def to_dict(self) -> dict[str, Any]:
        """As JSON says it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """What `to_dict` wrote, and JSON may have made lists of tuples."""
        lists = {name: tuple(saved[name]) for name in ("after", "at") if saved[name] is not None}
        return cls(**{**saved, **lists})
