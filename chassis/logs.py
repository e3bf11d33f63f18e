"""JSON logs with trace and job ids and no personal data."""

import logging
import sys
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

current_job: ContextVar[str | None] = ContextVar("current_job", default=None)
_RENAMED = {"levelname": "level", "name": "logger", "asctime": "time"}


class TraceFilter(logging.Filter):
    """Adds the ids that connect a line with its trace and its job."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = f"{context.trace_id:032x}"
            record.span_id = f"{context.span_id:016x}"
        if job := current_job.get():
            record.job_id = job
        return True


def configure(service: str, *, level: str) -> None:
    """Send every log line of the process to standard output as one JSON object."""
    handler = logging.StreamHandler(sys.stdout)
    fields: dict[str, Any] = {"service": service}
    handler.setFormatter(
        JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=_RENAMED, static_fields=fields)
    )
    handler.addFilter(TraceFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "azure", "httpx", "urllib3", "faststream"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
