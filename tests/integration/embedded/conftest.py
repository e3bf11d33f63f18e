from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import server_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as path:
        yield path
