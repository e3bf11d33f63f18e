"""What PostgreSQL itself says it spent on each statement: its log, read from where a measurement began.

A server started with `SETTINGS` logs every statement with its duration. Times of parsing and planning (`bind`) count as
those of running do. A COPY's time holds its wait for rows that the client is still sending, so figures are no smaller
than what PostgreSQL spent. Parameters are not logged.
"""

import re
from collections import Counter
from pathlib import Path

SETTINGS = {
    "log_min_duration_statement": "0",
    "log_parameter_max_length": "0",
    "log_line_prefix": "@%d@%a@ ",
}
_LINE = re.compile(
    r"^@(?P<database>[^@]*)@(?P<application>[^@]*)@ LOG:  duration: (?P<ms>[\d.]+) ms"
    r"(?:  (?:statement|parse [^:]*|bind [^:]*|execute [^:]*): (?P<sql>.*))?"
)


class StatementLog:
    """One server's log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begin = 0

    def start(self) -> None:
        """Count from here."""
        self.begin = self.path.stat().st_size

    def seconds(self, database: str) -> Counter[str]:
        """Seconds of each statement of a database, by the beginning of its text."""
        found: Counter[str] = Counter()
        for ms, sql in self._durations(database):
            found[sql] += ms / 1000  # type: ignore[assignment]  # a Counter of seconds
        return found

    def count(self, database: str) -> int:
        """How many statements a database was asked, those aside that open and end transactions or set something."""
        return len(self.statements(database))

    def statements(self, database: str) -> list[str]:
        """The beginnings of those texts."""
        with self.path.open(encoding="utf-8", errors="replace") as log:
            log.seek(self.begin)
            found = [match for match in map(_LINE.match, log) if match and match["database"] == database]
        return [match["sql"] for match in found if match["sql"] is not None and not _is_frame(match["sql"])]

    def _durations(self, database: str) -> list[tuple[float, str]]:
        with self.path.open(encoding="utf-8", errors="replace") as log:
            log.seek(self.begin)
            matches = (_LINE.match(line) for line in log)
            return [(float(m["ms"]), (m["sql"] or "")[:160]) for m in matches if m and m["database"] == database]


def _is_frame(sql: str) -> bool:
    return sql.upper().startswith(("BEGIN", "COMMIT", "ROLLBACK", "SET ", "RELEASE", "SAVEPOINT"))
