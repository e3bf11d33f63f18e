"""Which code made a run: the release, and a digest of the mathematics, so that a changed line is another version."""

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import appraisal
from services.valuation import domain

_SHOWN = 12


@lru_cache(maxsize=1)
def code_version() -> str:
    """`0.1.0+5f70bf18a086`: the release, and the beginning of the SHA-256 of all modules that values come of."""
    digest = hashlib.sha256()
    for package in (appraisal, domain):
        assert package.__file__ is not None
        folder = Path(package.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return f"{version('terrafusion')}+{digest.hexdigest()[:_SHOWN]}"
