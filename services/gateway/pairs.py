"""Which pairs a county's `mappings.yaml` names; read again when the file has changed."""

import asyncio
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from chassis.counties import read_yaml
from chassis.errors import NotFoundError, PermanentError
from contracts.mapping import CountyMappings, Pair
from services.gateway.state import Gateway


async def configured_pairs(gateway: Gateway, county: str) -> tuple[Pair, ...]:
    """The county's pairs; none where it has no mappings.

    Raises:
        PermanentError: `mapping_invalid`.
    """
    return await asyncio.to_thread(_pairs, gateway.counties_dir / county / "mappings.yaml")


async def require_pair(gateway: Gateway, county: str, pair: str) -> None:
    """Refuse a pair that the county does not have.

    Raises:
        NotFoundError: `pair_unknown`.
        PermanentError: `mapping_invalid`.
    """
    if not any(known.pair == pair for known in await configured_pairs(gateway, county)):
        raise NotFoundError("pair_unknown", f"the county {county} has no pair {pair!r}")


def _pairs(path: Path) -> tuple[Pair, ...]:
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ()
    except (ValidationError, yaml.YAMLError) as error:
        raise PermanentError(
            "mapping_invalid", f"the mappings of {path.parent.name} are not valid: `terrafusion county check` says why"
        ) from error


@lru_cache(maxsize=256)
def _read(path: Path, _changed_ns: int) -> tuple[Pair, ...]:
    return CountyMappings.model_validate(read_yaml(path)).pairs
