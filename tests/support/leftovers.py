"""Which processes a platform left behind."""

from pathlib import Path

import psutil


def processes_of(folder: Path) -> list[str]:
    """The command lines of processes that name the folder, on their command line or in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if str(folder) in command or str(folder) in process.environ().get("TERRAFUSION_STORAGE_URL", ""):
                found.append(command)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
