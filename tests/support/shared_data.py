"""Where the real county data stands that some tests read."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]


def shared_data(name: str) -> Path:
    """Return the file or folder `name` of the shared data; skip the test where it is missing."""
    folder = Path(os.environ.get("TERRAFUSION_SHARED_DATA") or _REPOSITORY.parent / "shared" / "data")
    path = folder / name
    if not path.exists():
        pytest.skip(f"needs the shared data {name}: set TERRAFUSION_SHARED_DATA to its folder")
    return path
