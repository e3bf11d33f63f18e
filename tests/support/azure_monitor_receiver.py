"""Azure Monitor's ingestion endpoint for tests, as far as an exporter speaks with it."""

import json
from typing import Any

from tests.support.http_receiver import HttpReceiver

INSTRUMENTATION_KEY = "00000000-0000-0000-0000-000000000000"


class AzureMonitorReceiver(HttpReceiver):
    """Takes telemetry envelopes by the track protocol, version 2.1."""

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={self.url}/"

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The requests and dependencies; what the exporter says about its resource is left out."""
        return [item for item in self.items if item["data"]["baseType"] in {"RequestData", "RemoteDependencyData"}]

    def take(self, path: str, body: bytes) -> tuple[list[dict[str, Any]], bytes, str]:
        # The exporter joins the endpoint, which ends with a slash, and the path, which begins with one.
        if f"/{path.lstrip('/')}" != "/v2.1/track":
            raise LookupError(f"no {path} here")
        envelopes: list[dict[str, Any]] = json.loads(body)
        answer = {"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}
        return envelopes, json.dumps(answer).encode(), "application/json"
