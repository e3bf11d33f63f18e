"""Makes the document of a certificate, signs it, keeps it and tells of it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from typing import Any
from uuid import UUID

from chassis.database import UnitOfWork
from chassis.outbox import new_id
from chassis.signing import ALGORITHM, Signer, canonical
from contracts.events.ingest import SyncCertificateIssued
from contracts.mapping import Pair
from services.ingest.certificate import queries
from services.ingest.domain.certificate import FORMAT, Depth, Line, failing
from services.ingest.domain.envelopes import Run
from services.ingest.record.telling import about, tell_fact
from services.ingest.settings import Settings

log = logging.getLogger(__name__)


@dataclass
class TableFindings:
    """What is said of a table."""

    lines: list[Line]
    source: dict[str, Any] | None = None
    landed: dict[str, Any] | None = None
    held: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    is_followed: bool = True


@dataclass
class Findings:
    """What a certificate says, before it is signed."""

    depth: Depth
    tables: dict[str, TableFindings]
    others: list[Line] = field(default_factory=list)
    record_differences: list[dict[str, Any]] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    source_seen_at: datetime | None = None

    @property
    def failing(self) -> list[str]:
        """The lines that do not hold, by name."""
        return failing({name: found.lines for name, found in self.tables.items()}, self.others)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was kept."""

    id: UUID
    holds: bool
    differences: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """As a job's result has it."""
        return {"certificate_id": str(self.id), "holds": self.holds, "differences": list(self.differences)}


async def issue(unit: UnitOfWork, run: Run, findings: Findings, *, rules: str, mode: str) -> Issued:
    """Sign what was found, keep it with the operation, and say so on the bus; in the caller's transaction."""
    states = await queries.read_table_states(unit.connection, run.county, run.pair.pair)
    issued_at, certificate_id = datetime.now(UTC), new_id()
    differences = tuple(findings.failing)
    signer = Signer.of(Settings().secret_key.get_secret_value())
    if signer is None:
        log.warning("a certificate is not signed: TERRAFUSION_SECRET_KEY has fewer than 32 characters")
    document = {
        **_head(run, findings, states, rules=rules),
        "id": str(certificate_id),
        "mode": mode,
        "issued_at": _moment(issued_at),
        "algorithm": ALGORITHM,
        "public_key": signer.public_key if signer else None,
        "holds": not differences,
        "failing": list(differences),
        "unproven": _unproven(findings),
        "tables": {name: _table(found, states.get(name)) for name, found in sorted(findings.tables.items())},
        "lines": [line.to_dict() for line in findings.others],
        "record_differences": findings.record_differences,
    }
    await queries.save(
        unit.connection, run.county, certificate_id, pair=run.pair.pair, operation_id=run.operation_id,
        sequence=run.sequence, holds=not differences, document=document, issued_at=issued_at,
        signature=signer.sign(document) if signer else "",
    )  # fmt: skip
    fact = SyncCertificateIssued(
        **about(run), certificate_id=certificate_id, holds=not differences, sequence=run.sequence,
        differences=differences,
    )  # fmt: skip
    await tell_fact(unit, run, fact, str(run.operation_id))
    if differences:
        log.error(
            "a certificate does not hold", extra={"pair": run.pair.pair, "certificate": str(certificate_id),
                                                  "lines": len(differences)}
        )  # fmt: skip
    return Issued(certificate_id, not differences, differences)


def _head(run: Run, findings: Findings, states: Mapping[str, queries.Row], *, rules: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "depth": findings.depth,
        "county": run.county,
        "pair": run.pair.pair,
        "connector": run.pair.connector,
        "database": run.database,
        "operation_id": str(run.operation_id),
        "sequence": run.sequence,
        "working_year": run.working_year,
        "code_version": version("terrafusion"),
        "mapping_hash": rules,
        "schema_hash": _schema_hash(run.pair, states),
        "started_at": _moment(findings.started_at),
        "source_seen_at": _moment(findings.source_seen_at),
        "ended_at": _moment(datetime.now(UTC)),
    }


def _schema_hash(pair: Pair, states: Mapping[str, queries.Row]) -> str:
    """Of the columns as the source's catalogue had them when the tables were read."""
    columns = {name: states[name]["columns"] for name in sorted(pair.table_by_name) if name in states}
    return blake2b(canonical(columns), digest_size=16).hexdigest()


def _table(found: TableFindings, state: queries.Row | None) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if state is not None:
        known = {
            "reader": state["reader"],
            "status": state["status"],
            "token": state["token"],
            "token_at": _moment(state["token_at"]),
            "verified_through": _moment(state["verified_through"]),
            "ranges": state["ranges"],
            "blind_spots": list(state["blind_spots"]),
        }
    return {
        **known,
        "holds": all(line.holds is not False for line in found.lines),
        "lines": [line.to_dict() for line in found.lines],
        "source": found.source,
        "landed": found.landed,
        "held": found.held,
        "differences": found.differences,
    }


def _unproven(findings: Findings) -> list[str]:
    """Lines of which this depth cannot tell whether they hold."""
    found = [f"{name}: {line.name}" for name, table in sorted(findings.tables.items()) for line in table.lines
             if line.holds is None]  # fmt: skip
    return found + [line.name for line in findings.others if line.holds is None]


def standing_lines(pair: Pair, states: Mapping[str, queries.Row], rules: Mapping[str, str]) -> dict[str, list[Line]]:
    """Whether each table is followed at all, and landed by the rules of today."""
    found: dict[str, list[Line]] = {}
    for name in pair.table_by_name:
        state = states.get(name)
        status = state["status"] if state is not None else "never read"
        is_followed = status in {"active", "followed"}
        note = (state["stopped_message"] or "") if state is not None and not is_followed else ""
        found[name] = [Line("followed", "active", status, holds=is_followed, note=note)]
        if state is not None and name in rules:
            is_same = state["rules"] == rules[name]
            note = "" if is_same else "the mapping changed since the table was read"
            found[name].append(Line("mapping", rules[name], state["rules"], holds=is_same, note=note))
    return found


def shown_keys(pair: Pair, table: str, keys: Sequence[str]) -> list[str]:
    """Keys as a document may show them: one that is personal is a hash."""
    declared = pair.table_by_name[table]
    if not set(declared.key) & set(declared.personal):
        return [key.replace("\0", "") for key in keys]
    return [f"hash:{blake2b(key.encode(), digest_size=8).hexdigest()}" for key in keys]


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at is not None else None
