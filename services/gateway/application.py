"""The FastAPI application whose OpenAPI says what is sent."""

from typing import Any

from fastapi import FastAPI

from services.gateway.problems import MEDIA_TYPE


class Application(FastAPI):
    """FastAPI documents a model's response as `application/json`; a problem has a media type of its own."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()  # made once and kept, so what follows happens to the same object every time
        for methods in document["paths"].values():
            for operation in methods.values():
                said = operation["responses"]["default"]
                said["content"] = {MEDIA_TYPE: next(iter(said["content"].values()))}
        return document
