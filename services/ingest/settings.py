"""The settings of ingest, beyond those of every service: where the legacy systems are, the key of personal codes."""

import os

from chassis.errors import PermanentError
from chassis.settings import ServiceSettings
from chassis.signing import MINIMUM_SECRET_CHARACTERS, derived_key, deserves_the_name
from contracts.mapping import Pair, SourceTable
from services.ingest.domain.personal import PersonalKey

_CODES = b"terrafusion codes of personal values v1"


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


def personal_key() -> PersonalKey | None:
    """The key by which personal values become codes, derived from the platform's secret; null where there is none."""
    secret = Settings().secret_key.get_secret_value()
    return PersonalKey(derived_key(secret, _CODES)) if deserves_the_name(secret) else None


def require_personal_key(pair: Pair) -> PersonalKey | None:
    """The key, where the pair's mapping wants codes.

    Raises:
        PermanentError: `personal_key_missing`: a mask instead would be another image than the mapping asks for.
    """
    tables = [table.name for table in pair.tables if has_codes(table)]
    key = personal_key() if tables else None
    if tables and key is None:
        raise PermanentError(
            "personal_key_missing",
            f"{pair.pair} asks for codes of personal values (hmac): set TERRAFUSION_SECRET_KEY to"
            f" {MINIMUM_SECRET_CHARACTERS} characters or more",
            details={"tables": tables},
        )
    return key


def has_codes(table: SourceTable) -> bool:
    """Whether a table has personal values that become codes."""
    return "hmac" in table.personal_as.values()
