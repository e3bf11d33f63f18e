"""What a list of jobs may be asked."""

from pydantic import Field

from contracts.api.base import Request
from contracts.api.jobs import JobStatus
from contracts.subjects import COUNTY_PATTERN, JobKind


class JobsQuery(Request):
    """Which jobs, the newest first; `cursor` is the `next` of the page before."""

    county: str | None = Field(default=None, pattern=COUNTY_PATTERN)
    kind: JobKind | None = None
    status: JobStatus | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=500)
