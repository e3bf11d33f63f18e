"""How commands print lists: whatever the bus and the jobs say is text, never markup, and ids are never cut."""

import sys
from collections.abc import Collection

from rich import box
from rich.console import Console
from rich.table import Table

_PIPED_COLUMNS = 240  # a pipe has no width; rich would take 80 and fold every line

console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPED_COLUMNS)


def listing(*columns: str, whole: Collection[str] = ()) -> Table:
    """A table with these columns; those in `whole`, which other commands take, are shown in full at any width."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name in whole, overflow="ignore" if name in whole else "fold")
    return table
