"""The settings of ingest, beyond those of every service: where the legacy systems are."""

import os

from chassis.errors import PermanentError
from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """What ingest reads from the environment; sources by `source_url`."""


def source_url(pair: str) -> str:
    """The URL of a pair's source, from `TERRAFUSION_SOURCE_<PAIR>_URL`; credentials stand nowhere else.

    Raises:
        PermanentError: `source_not_configured`.
    """
    name = f"TERRAFUSION_SOURCE_{pair.upper()}_URL"
    url = os.environ.get(name)
    if not url:
        raise PermanentError("source_not_configured", f"set {name} to the URL of the source of {pair}")
    return url
