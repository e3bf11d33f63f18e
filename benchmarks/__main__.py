"""Runs every benchmark in a process of its own: `make bench`. Each is a ratio to a limit of the same run."""

import json
import subprocess
import sys
from typing import Any

BENCHMARKS = (
    ["submit_jobs"],
    ["submit_jobs", "--sampled", "0.05"],
    ["job_round_trip"],
    ["full_sync"],
    ["unchanged_sync"],
    ["idle_tables"],
    ["commit_to_nats"],
    ["sync_memory"],
    ["noise_floor", "--models", "blend"],
)


def main() -> int:
    """Print one JSON line per benchmark, then which goals were met; 1 where one did not run."""
    failed = 0
    for name, *options in BENCHMARKS:
        finished = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *options], check=False, stdout=subprocess.PIPE, text=True
        )
        lines = finished.stdout.strip().splitlines()
        if finished.returncode or not lines:
            print(f"{name}: did not run (exit code {finished.returncode})")
            failed += 1
            continue
        print(json.dumps(last_object(finished.stdout)), flush=True)
    return min(failed, 1)


def last_object(text: str) -> dict[str, Any]:
    """The last JSON object that a benchmark printed, on one line or several."""
    start = text.rindex("\n{") + 1 if "\n{" in text else text.index("{")
    found: dict[str, Any] = json.loads(text[start:])
    return found


if __name__ == "__main__":
    sys.exit(main())
