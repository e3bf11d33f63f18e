"""The log of scorings on test rows: a configuration is what the code of the models is, and is scored once."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOG = Path(__file__).with_name("scorings.jsonl")
DECIDES_VALUES = (
    *("baselines", "boosting", "calibration", "comparables", "encoding", "evidence", "features", "figures"),
    *("grid", "hedonic", "kernel", "kernel_learning", "kriging", "location", "models", "neighbors", "network"),
    *("network_training", "properties", "regression", "sale_file", "sales", "time_adjustment", "vicinity"),
)


def configuration() -> str:
    """A hash of the code that decides values and figures."""
    domain = ROOT / "services" / "valuation" / "domain"
    paths = [*(domain / f"{name}.py" for name in DECIDES_VALUES), ROOT / "appraisal" / "price_trend.py"]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def scored(test: str) -> dict[str, Any] | None:
    """What this configuration scored on a test before; None where it was not scored yet."""
    lines = LOG.read_text(encoding="utf-8").splitlines() if LOG.exists() else []
    known = [json.loads(line) for line in lines if line.strip()]
    of_this = [line for line in known if line["configuration"] == configuration() and line["test"] == test]
    return of_this[-1]["models"] if of_this else None


def enter(test: str, models: dict[str, Any]) -> None:
    """Add a scoring to the log, figures rounded, without what depends on the machine's load."""
    rounded = {
        model: {name: round(value, 4) for name, value in figures.items() if value is not None}
        for model, figures in models.items()
    }
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    line = {"date": at, "configuration": configuration(), "test": test, "models": rounded}
    with LOG.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
