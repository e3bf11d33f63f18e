"""Loads a county's folder."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from chassis.errors import NotFoundError, PermanentError
from contracts.county import County, CountyUser

_USERS = TypeAdapter(list[CountyUser])


def county_names(counties_dir: Path) -> list[str]:
    """The counties that have a folder."""
    return sorted(path.parent.name for path in counties_dir.glob("*/county.yaml"))


@lru_cache(maxsize=256)
def _load(path: Path, _changed_ns: int) -> County:
    try:
        return County.model_validate(read_yaml(path))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise PermanentError(
            "county_file_invalid",
            f"{path.name} of {path.parent.name}: {'; '.join(faults)}",
            details={"faults": faults},
        ) from error


def load_county(counties_dir: Path, county: str) -> County:
    """A county's configuration; read again when the file has changed.

    Raises:
        NotFoundError: `county_unknown`.
        PermanentError: `county_file_invalid`, with what is wrong.
    """
    if county not in county_names(counties_dir):
        raise NotFoundError("county_unknown", f"there is no county {county!r}")
    path = counties_dir / county / "county.yaml"
    return _load(path, path.stat().st_mtime_ns)


def load_users(counties_dir: Path, county: str) -> list[CountyUser]:
    """The users that a county's file names."""
    path = counties_dir / county / "rbac" / f"{county}_users.json"
    return _USERS.validate_python(json.loads(path.read_text())) if path.exists() else []


def read_yaml(path: Path) -> Any:
    """A YAML file's content."""
    return yaml.safe_load(path.read_text())
