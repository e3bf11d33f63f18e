"""Traces: their ids are always made, their spans only where somebody takes them."""

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from chassis.telemetry import SampledWhereExported, configure, export_spans, is_sampled, trace_headers, trace_id_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


def test_spans_are_recorded_once_somebody_takes_them() -> None:
    provider = TracerProvider(resource=Resource.create({}), sampler=SampledWhereExported())
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("before") as span:
        assert not span.is_recording()
        assert span.get_span_context().is_valid
    spans = InMemorySpanExporter()
    export_spans(provider, SimpleSpanProcessor(spans))
    with tracer.start_as_current_span("after"):
        pass
    assert [span.name for span in spans.get_finished_spans()] == ["after"]


@pytest.mark.parametrize(
    ("sampler", "argument", "recorded"),
    [
        (None, None, ["root", "caller recorded"]),
        ("always_on", None, ["root", "caller recorded", "caller not recorded"]),
        ("always_off", None, []),
        ("traceidratio", "0", []),
        ("parentbased_traceidratio", "0", ["caller recorded"]),
        ("parentbased_traceidratio", "1", ["root", "caller recorded"]),
        ("nonsense", None, ["root", "caller recorded"]),
    ],
)
def test_the_environments_sampler_decides_where_spans_are_exported(
    sampler: str | None, argument: str | None, recorded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    provider, spans = (
        TracerProvider(resource=Resource.create({}), sampler=SampledWhereExported()),
        InMemorySpanExporter(),
    )
    export_spans(provider, SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    for name, flags in {"root": None, "caller recorded": "01", "caller not recorded": "00"}.items():
        parent = extract({"traceparent": f"{PARENT}-{flags}"} if flags else {}, Context())
        tracer.start_span(name, context=parent).end()
    assert [span.name for span in spans.get_finished_spans()] == recorded


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [(f"{PARENT}-01", True), (f"{PARENT}-00", False), (f"{PARENT}-03", True), (f"{PARENT}-02", False), (None, True)],
)
def test_a_traceparent_says_whether_it_is_recorded(traceparent: str | None, sampled: bool) -> None:  # noqa: FBT001
    assert is_sampled(traceparent) is sampled


@pytest.mark.parametrize(
    ("traceparent", "trace_id"), [(f"{PARENT}-01", PARENT.split("-")[1]), ("nonsense", None), (None, None)]
)
def test_a_trace_id_is_found(traceparent: str | None, trace_id: str | None) -> None:
    assert trace_id_of(traceparent) == trace_id


@pytest.mark.parametrize("flags", [0, 1])
@pytest.mark.parametrize("state", [None, TraceState([("vendor", "a1"), ("other", "b")])])
def test_trace_headers_are_what_the_standard_propagator_writes(flags: int, state: TraceState | None) -> None:
    context = SpanContext(5 << 100, 7, is_remote=False, trace_flags=TraceFlags(flags), trace_state=state)
    standard: dict[str, str] = {}
    span = NonRecordingSpan(context)
    inject(standard, trace.set_span_in_context(span))
    assert trace_headers(span) == standard
    assert trace_headers(trace.INVALID_SPAN) == {}


def test_a_service_is_named_in_its_spans_as_the_sdk_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _: None)
    for variable in ("OTEL_EXPORTER_OTLP_ENDPOINT", "APPLICATIONINSIGHTS_CONNECTION_STRING"):
        monkeypatch.delenv(variable, raising=False)
    resource = configure("terrafusion-market").resource
    standard = Resource.create({"service.name": "terrafusion-market", "service.namespace": "terrafusion"})
    assert resource.attributes["deployment.environment"] == "test"
    assert (resource, hash(resource)) == (standard, hash(standard))


def test_only_the_sampled_flag_is_sent() -> None:
    context = SpanContext(trace_id=1, span_id=2, is_remote=False, trace_flags=TraceFlags(0x03))
    assert trace_headers(NonRecordingSpan(context))["traceparent"] == f"00-{1:032x}-{2:016x}-01"
    context = SpanContext(trace_id=1, span_id=2, is_remote=False, trace_flags=TraceFlags(0x02))
    assert trace_headers(NonRecordingSpan(context))["traceparent"] == f"00-{1:032x}-{2:016x}-00"
