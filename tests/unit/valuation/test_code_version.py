"""A run's code version is of what its values come of."""

from pathlib import Path

import pytest

from services.valuation import code_version as module
from services.valuation import domain
from services.valuation.code_version import code_version


def test_another_line_of_the_mathematics_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = code_version()
    assert now == code_version.__wrapped__()
    assert domain.__file__ is not None
    (tmp_path / "__init__.py").write_bytes(Path(domain.__file__).read_bytes())
    for path in Path(domain.__file__).parent.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(module.domain, "__file__", str(tmp_path / "__init__.py"))
    assert code_version.__wrapped__() == now
    with (tmp_path / "runs.py").open("a") as file:
        file.write("# changed\n")
    changed = code_version.__wrapped__()
    assert changed != now
    assert changed.partition("+")[0] == now.partition("+")[0]
