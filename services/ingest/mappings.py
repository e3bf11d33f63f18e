"""Loads a county's `mappings.yaml`."""

from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from chassis.counties import county_names, read_yaml
from chassis.errors import NotFoundError, PermanentError
from contracts.mapping import CountyMappings, Pair


def load_mappings(counties_dir: Path, county: str) -> CountyMappings:
    """What the county is synchronised with; read again when the file has changed.

    Raises:
        NotFoundError: `county_unknown`.
        PermanentError: `mapping_invalid`, with what is wrong.
    """
    if county not in county_names(counties_dir):
        raise NotFoundError("county_unknown", f"there is no county {county!r}")
    path = counties_dir / county / "mappings.yaml"
    if not path.exists():
        return CountyMappings(pairs=())
    stamp = path.stat()
    return _load(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=64)
def _load(path: Path, _changed_ns: int, _size_bytes: int) -> CountyMappings:
    """Hundreds of tables take longer to read here than to find idle at their source."""
    try:
        return CountyMappings.model_validate(read_yaml(path))
    except (ValidationError, yaml.YAMLError) as error:
        raise PermanentError("mapping_invalid", f"{path.name} of {path.parent.name}: {error}") from error


def load_pair(counties_dir: Path, county: str, name: str) -> Pair:
    """One pair of the county.

    Raises:
        NotFoundError: `pair_unknown`, and as `load_mappings`.
    """
    for pair in load_mappings(counties_dir, county).pairs:
        if pair.pair == name:
            return pair
    raise NotFoundError("pair_unknown", f"the county {county} has no pair {name!r}")
