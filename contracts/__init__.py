"""The law between services: every message, request and answer that crosses a boundary."""
