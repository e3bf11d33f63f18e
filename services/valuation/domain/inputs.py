"""A digest of all that a run's model saw, so that two runs can be known to be of the same data."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from services.valuation.domain.properties import Properties
from services.valuation.domain.sales import Sales

_BETWEEN = "\x1f"


def input_sha256(sold: Sales, parcels: Properties) -> str:
    """SHA-256 of the sales, as they were screened and decided, and of the parcels, column by column in their order."""
    digest = hashlib.sha256()
    _add(digest, "sold", sold)
    _add(digest, "parcels", parcels)
    return digest.hexdigest()


def _add(digest: Any, name: str, value: Any) -> None:
    digest.update(f"{name}\n".encode())
    if is_dataclass(value):
        for field in fields(value):
            _add(digest, field.name, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _add(digest, str(key), value[key])
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        digest.update(_BETWEEN.join(map(str, value)).encode())
