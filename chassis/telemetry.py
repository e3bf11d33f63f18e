"""OpenTelemetry traces by configuration alone, and Prometheus metrics."""

import os
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.trace import Span, TraceFlags
from prometheus_client import Counter, Gauge, Histogram

from contracts.subjects import JobKind

#: The Azure exporter would otherwise report on itself to Microsoft and ask it for settings: the county's telemetry goes
#: to the endpoint that the county names, and nothing goes anywhere else.
_AZURE_OWN_TRAFFIC_OFF = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)
_DURATION_BUCKETS = (0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600)

JOBS_SUBMITTED = {kind: Counter(f"{kind}_jobs_submitted", f"{kind} jobs asked for", ["county"]) for kind in JobKind}
JOBS_FAILED = {
    kind: Counter(f"{kind}_jobs_failed", f"{kind} jobs that ended without a result", ["county", "code"])
    for kind in JobKind
}
JOB_SECONDS = {
    kind: Histogram(
        f"{kind}_processing_duration_seconds",
        f"time from start to end of {kind} jobs",
        ["county", "status"],
        buckets=_DURATION_BUCKETS,
    )
    for kind in JobKind
}
OUTBOX_WAITING = Gauge("terrafusion_outbox_waiting_events", "events that wait in the outbox")
OUTBOX_LAG = Gauge("terrafusion_outbox_lag_seconds", "age of the oldest event in the outbox")
EVENTS_SWEPT = Counter("terrafusion_outbox_swept_events", "events that the sweeper sent after a crash")
JOBS_RECONCILED = Counter("terrafusion_jobs_reconciled", "jobs that were published again because the bus lacked them")
DEAD_LETTERS = Counter("terrafusion_dead_letters", "messages that could not be handled", ["service", "code"])
SCHEDULE_FIRES = Counter("terrafusion_schedule_fires", "jobs that a schedule asked for", ["county", "schedule"])
SCHEDULE_SKIPS = Counter(
    "terrafusion_schedule_skips", "due times that went by without a job", ["county", "schedule", "reason"]
)
CONSUMER_PENDING = Gauge("terrafusion_consumer_pending_messages", "messages that wait for a consumer", ["consumer"])


class SampledWhereExported(Sampler):
    """Records spans once somebody takes them; until then only their ids are made, which costs next to nothing.

    Once somebody does, the environment's sampler decides: `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, by
    default the caller's decision and else always.
    """

    def __init__(self) -> None:
        self.sampler: Sampler = ALWAYS_OFF

    def should_sample(self, parent_context: Context | None, *args: Any, **kwargs: Any) -> SamplingResult:
        """As the environment's sampler says where spans are exported, else never."""
        return self.sampler.should_sample(parent_context, *args, **kwargs)

    def get_description(self) -> str:
        """For the SDK's own diagnostics."""
        return f"SampledWhereExported({self.sampler.get_description()})"


def export_spans(provider: TracerProvider, processor: SpanProcessor) -> None:
    """Send the provider's spans to a processor."""
    provider.add_span_processor(processor)
    if isinstance(provider.sampler, SampledWhereExported):
        provider.sampler.sampler = _environments_sampler()


def _environments_sampler() -> Sampler:
    """What the SDK makes of the environment; it says so in the log where the values are not valid."""
    return TracerProvider(shutdown_on_exit=False).sampler


class _Identity(Resource):
    """A resource that is hashed once: the exporter asks for its hash with every span, and it is made by way of JSON."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)


def configure(service: str) -> TracerProvider:
    """Send spans where the environment says: `OTEL_EXPORTER_OTLP_ENDPOINT`, `APPLICATIONINSIGHTS_CONNECTION_STRING`.

    Without either, trace ids are still made and carried, and no span is kept.
    """
    resource = _Identity(Resource.create({SERVICE_NAME: service, SERVICE_NAMESPACE: "terrafusion"}))
    provider = TracerProvider(resource=resource, sampler=SampledWhereExported())
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 only where asked for
            OTLPSpanExporter,
        )

        export_spans(provider, BatchSpanProcessor(OTLPSpanExporter()))
    if os.environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING"):
        for variable in _AZURE_OWN_TRAFFIC_OFF:
            os.environ.setdefault(variable, "true")
        from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415 heavy, and only where asked for
            AzureMonitorTraceExporter,
        )

        export_spans(provider, BatchSpanProcessor(AzureMonitorTraceExporter()))
    trace.set_tracer_provider(provider)
    return provider


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span."""
    return trace_headers(trace.get_current_span()).get("traceparent")


def trace_headers(span: Span) -> dict[str, str]:
    """A span's W3C headers; the general propagators take ten times as long for them.

    Of the flags only `sampled` is sent: level 1 of the recommendation knows no other, and strict readers refuse any.
    """
    context = span.get_span_context()
    if not context.is_valid:
        return {}
    sampled = context.trace_flags & TraceFlags.SAMPLED
    headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{sampled:02x}"}
    if context.trace_state:
        headers["tracestate"] = context.trace_state.to_header()
    return headers


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a `traceparent`."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None


def is_sampled(traceparent: str | None) -> bool:
    """Whether somebody records the trace (W3C trace flag 1); one that is yet to begin may be."""
    if not traceparent:
        return True
    flags = traceparent.rpartition("-")[2]
    return flags[-1:] not in "02468aceACE"
