"""The subject grammar of the bus: facts are past tense and the county is the last token (second in `cdc`)."""

import re
from enum import StrEnum

COUNTY_PATTERN = r"^[a-z][a-z0-9_]{1,39}$"
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")


class JobKind(StrEnum):
    """What a job does; underscored on the bus, in permissions and metrics, hyphenated in routes."""

    VALUATION = "valuation"
    MARKET = "market"
    REPORTING = "reporting"
    GIS_EXPORT = "gis_export"
    SYNC = "sync"

    @property
    def route(self) -> str:
        """The kind as a path segment of the gateway."""
        return self.value.replace("_", "-")


class JobFact(StrEnum):
    """What can be said of a job on the bus."""

    REQUESTED = "requested"
    STARTED = "started"
    PROGRESSED = "progressed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CANCEL_REQUESTED = "cancel_requested"


def job_subject(kind: JobKind | str, fact: JobFact | str, county: str) -> str:
    """The subject of a job's event; `*` stands for any county."""
    return f"job.{kind}.{fact}.{county}"


def change_subject(county: str, pair: str, schema: str, table: str) -> str:
    """The subject of a source row's change envelope."""
    return ".".join(("cdc", county, *(subject_token(name) for name in (pair, schema, table))))


def fact_subject(family: str, fact: str, county: str) -> str:
    """The subject of a canonical fact such as `parcel.changed.benton`."""
    return f"{family}.{fact}.{county}"


def dead_letter_subject(service: str, county: str) -> str:
    """The subject of a message that could not be handled."""
    return f"dlq.{service}.{county}"


def subject_token(name: str) -> str:
    """A source name as a subject token: characters that a subject may not hold become `_`."""
    return _FORBIDDEN.sub("_", name) or "_"


def event_type(subject: str) -> str:
    """The `ce-type` of an event: its subject without the county."""
    tokens = subject.split(".")
    return ".".join(tokens[:1] + tokens[2:]) if tokens[0] == "cdc" else ".".join(tokens[:-1])


def county_of(subject: str) -> str:
    """The county token of a subject."""
    tokens = subject.split(".")
    return tokens[1] if tokens[0] == "cdc" else tokens[-1]
