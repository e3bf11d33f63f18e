"""Pairs of a county to synchronise in a test: their files, their source's URL, their operational database."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.database import Database
from chassis.settings import REPOSITORY
from tests.support.sync_jobs import SyncBench

COUNTIES = REPOSITORY / "deploy" / "counties"


def county_files(folder: Path, county: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a county's files in which `change` has edited its first pair; answers the folder of counties."""
    shutil.copytree(COUNTIES / county, folder / county)
    path = folder / county / "mappings.yaml"
    mappings = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(mappings["pairs"][0])
    path.write_text(yaml.safe_dump(mappings, sort_keys=False), encoding="utf-8")
    return folder


@asynccontextmanager
async def pair_bench(
    database_url: str, *, county: str, pair: str, source_url: str, folder: Path, counties_dir: Path = COUNTIES
) -> AsyncIterator[SyncBench]:
    """The pair with its source at the URL; artifacts go to the folder."""
    database = Database(database_url, service="ingest")
    await database.open()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(f"TERRAFUSION_SOURCE_{pair.upper()}_URL", source_url)
        yield SyncBench(database, county, pair, counties_dir=counties_dir, storage=f"file://{folder}")
    await database.close()
