"""Makes `.env` from `.env.sample`, a random secret for each `<secret>`: `python3 deploy/new_env.py`."""

import os
import secrets
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PLACE = "<secret>"


def new_env(sample: str) -> str:
    """The sample with a different secret in each place; they need no quoting in URLs or shells."""
    lines = sample.splitlines()
    return (
        "\n".join(
            line.removesuffix(PLACE) + secrets.token_urlsafe(32) if line.endswith("=" + PLACE) else line
            for line in lines
        )
        + "\n"
    )


def main(folder: Path = REPOSITORY) -> None:
    """Write `.env`, readable by its owner only; one that exists is kept, for a database has its passwords."""
    try:
        file = os.open(folder / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(".env exists and stays as it is: the database and the bus know its secrets")
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(new_env((folder / ".env.sample").read_text(encoding="utf-8")))
    sys.stdout.write("wrote .env\n")


if __name__ == "__main__":
    main()
