"""JSON logs with trace and job ids and no personal data."""

import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
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


class LineFormatter(JsonFormatter):
    """One JSON object a line; an exception as its type and place, because its text may hold a row's values."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 logging's name
        """RFC 3339, UTC."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatException(self, ei: Any) -> str:  # noqa: N802 logging's name
        """The exception's type and the lines that it passed."""
        kind, _, place = ei
        frames = traceback.extract_tb(place)
        return "\n".join([getattr(kind, "__name__", "None"), *(f"{f.filename}:{f.lineno} {f.name}" for f in frames)])


def configure(service: str, *, level: str) -> None:
    """Send every log line of the process to standard output as one JSON object."""
    handler = logging.StreamHandler(sys.stdout)
    fields: dict[str, Any] = {"service": service}
    handler.setFormatter(
        LineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=_RENAMED, static_fields=fields)
    )
    handler.addFilter(TraceFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "azure", "httpx", "urllib3", "faststream"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
