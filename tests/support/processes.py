"""Waiting for processes, and Python programs that tests start and kill."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], bool], what: str, *, wait_seconds: float = 60) -> None:
    """Return once `condition` holds; fail when it does not come to hold."""
    deadline = time.monotonic() + wait_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {wait_seconds:.0f} s in vain until {what}")
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Say whether the process has ended; a zombie has, its new parent has only not noticed yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def start_python(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python program that sees the repository; talk to it over its pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
