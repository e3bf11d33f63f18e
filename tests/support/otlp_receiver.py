"""An OTLP collector for tests: `OTEL_EXPORTER_OTLP_ENDPOINT` is its `url`."""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.http_receiver import HttpReceiver


class OtlpReceiver(HttpReceiver):
    """Takes spans by OTLP over HTTP; each is a dict of name, trace_id, span_id, parent_id, service, kind, attributes.

    Ids are lower-case hex as in `traceparent`; `parent_id` of a root is None; `kind` is such as `server`.
    """

    @property
    def spans(self) -> list[dict[str, Any]]:
        return self.items

    def take(self, path: str, body: bytes) -> tuple[list[dict[str, Any]], bytes, str]:
        if path != "/v1/traces":
            raise LookupError(f"no {path} here")
        request = ExportTraceServiceRequest.FromString(body)
        spans = [
            to_span(span, _values(resource.resource.attributes))
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return spans, ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf"


def to_span(span: Span, resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "service": resource.get("service.name"),
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "attributes": _values(span.attributes),
    }


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, which) if which else None
