"""Seeds of random runs: a test draws the same each time, a soak draws anew; each is printed, and can be given again."""

import os
import random

SEED = 20_260_101
"""Of every short draw, so that what `make test` says of a change is said of the change."""


def seed_of_this_run(variable: str, what: str = "") -> int:
    """The number that the variable holds, else a fixed one; anew each time where TERRAFUSION_NEW_SEEDS is set."""
    drawn = random.SystemRandom().randrange(10**6) if os.environ.get("TERRAFUSION_NEW_SEEDS") else SEED
    seed = int(os.environ.get(variable) or drawn)
    print(f"{what}{': ' if what else ''}{variable}={seed}")  # noqa: T201 shown where the test fails
    return seed
