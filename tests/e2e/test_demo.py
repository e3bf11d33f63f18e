"""`terrafusion demo`, as its user runs it: on a synthetic county and on real property."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.leftovers import processes_of
from tests.support.servers import server_folder
from tests.support.shared_data import shared_data

TERRAFUSION = Path(sys.executable).with_name("terrafusion")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as folder:
        yield folder / "demo"


def run_demo(folder: Path, *options: str) -> dict[str, Any]:
    command = [str(TERRAFUSION), "demo", "--var", str(folder), *options]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert processes_of(folder) == []
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def test_the_demo_recovers_what_was_planted(folder: Path) -> None:
    summary = run_demo(folder, "--parcels", "1500")
    assert summary["county"] == "synthetic_wa"
    assert summary["source"]["reader"] == "several"
    full = summary["sync"]["full"]
    assert full["rows_read"] > full["rows_applied"] > 1500
    assert full["rows_quarantined"] > 0
    assert summary["sync"]["incremental"]["events"] > 0
    assert summary["valuation"]["parcels_valued"] > 1000
    assert 0.9 < summary["valuation"]["median_ratio"] < 1.1
    assert summary["report"]["pages"] >= 1
    assert Path(summary["report"]["path"]).read_bytes().startswith(b"%PDF")
    assert summary["gis_export"]["features"] > 1000
    assert len(summary["trace_id"]) == 32


def test_the_demo_does_the_same_on_real_property(folder: Path) -> None:
    summary = run_demo(folder, "--data", str(shared_data("lebanon_nh")))
    assert summary["county"] == "lebanon_nh"
    assert summary["source"]["parcels"] >= 5600
    study = summary["ratio_study"]
    assert study["n"] == 165
    assert round(study["median_ratio"], 3) == 0.716
    assert round(study["cod"], 2) == 9.73
    assert round(study["prd"], 3) == 1.001
    assert round(study["prb"], 3) == 0.030
    assert round(study["mki"], 3) == 0.991
