"""Where the facts about legacy systems stand that some tests build their sources from."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]


def shared_research(name: str) -> Path:
    """Return the file `name` of the shared research; skip the test where it is missing."""
    folder = Path(os.environ.get("TERRAFUSION_SHARED_RESEARCH") or _REPOSITORY.parent / "shared" / "research")
    path = folder / name
    if not path.exists():
        pytest.skip(f"needs the shared research {name}: set TERRAFUSION_SHARED_RESEARCH to its folder")
    return path
