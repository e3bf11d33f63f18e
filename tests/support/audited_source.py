"""A server that writes down every statement, and rules that tell which of them could have written something."""

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg

from chassis.embedded.postgres import EmbeddedPostgres
from tests.support.servers import FAST, server_folder

_AUDIT = {
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "audit",
    "log_filename": "audit.log",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_statement": "all",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "autovacuum": "off",  # nobody but a client takes a transaction id
}
_STATEMENT = re.compile(r"^(?:statement|execute [^:]*|fastpath function call): (.*)$", re.DOTALL)

_READING = {
    "SELECT", "WITH", "VALUES", "TABLE", "COPY", "SHOW", "SET", "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT",
    "RELEASE", "DECLARE", "FETCH", "MOVE", "CLOSE", "DEALLOCATE", "DISCARD", "EXPLAIN",
}  # fmt: skip
_WRITING = {
    "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "INTO", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "LOCK",
    "VACUUM", "ANALYZE", "REINDEX", "CLUSTER", "REFRESH", "CALL", "DO", "NOTIFY", "LISTEN", "PREPARE", "REASSIGN",
    "STDIN", "PROGRAM", "SHARE",
}  # fmt: skip
_WRITING_FUNCTIONS = re.compile(
    r"\b(nextval|setval|lo_\w+|loread|lowrite|pg_(?:try_)?advisory\w*|pg_notify|dblink\w*|txid_current|"
    r"pg_current_xact_id|pg_logical_emit_message|pg_export_snapshot|pg_write\w*|pg_file\w*|pg_stat_reset\w*)\s*\(",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""/\*.*?\*/|--[^\n]*|\$(\w*)\$.*?\$\1\$|[eE]?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*\"""", re.DOTALL)


@dataclass(frozen=True)
class AuditedServer:
    """Creates databases as any server of a test, and tells what was run on it."""

    server: EmbeddedPostgres

    @property
    def url(self) -> str:
        return self.server.url

    def create_database(self, name: str) -> str:
        return self.server.create_database(name)

    def transactions_begun_to_write(self) -> int:
        """The server's next transaction id: a transaction takes one when it first writes anything anywhere."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
        assert row is not None
        return int(row[0])

    def statements_of(self, login_url: str) -> list[str]:
        """Every statement that the login ran since the server began, oldest first."""
        user, mark, found = urlsplit(login_url).username, secrets.token_hex(8), []
        with psycopg.connect(self.url) as connection:
            connection.execute(f"SELECT '{mark}'".encode())
        for line in self._read_until(mark).splitlines():
            entry = json.loads(line)
            said = _STATEMENT.match(entry.get("message", ""))
            if said is not None and entry.get("user") == user:
                found.append(said.group(1))
        return found

    def _read_until(self, mark: str) -> str:
        """The log with everything that was run before the mark: the collector writes in order, but in its own time."""
        (path,) = self.server.data_dir.rglob("audit.json")
        deadline = time.monotonic() + 30
        while mark not in (text := path.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, "the server's log does not grow"
            time.sleep(0.01)
        return text.partition(mark)[0].rpartition("\n")[0]


@contextmanager
def audited_server() -> Iterator[AuditedServer]:
    """A server of its own: its settings are not those of the others."""
    with server_folder() as folder, EmbeddedPostgres(folder / "postgres", settings={**FAST, **_AUDIT}) as server:
        yield AuditedServer(server)


def why_it_writes(statement: str) -> str | None:
    """The word for which a statement could write, lock or run a program; null: it only reads."""
    bare = _QUOTED.sub(" ", statement)
    for part in filter(None, (text.strip() for text in bare.split(";"))):
        words = [word.upper() for word in re.findall(r"[A-Za-z_]\w*", part)]
        if not words or words[0] not in _READING:
            return words[0] if words else part
        if found := _WRITING.intersection(words):
            return min(found)
        if words[0] == "COPY" and "STDOUT" not in words:
            return "COPY"
    called = _WRITING_FUNCTIONS.search(bare)
    return called.group(1) if called else None
