"""The SQL of breakers, and of what metrics tell."""

from datetime import datetime
from typing import Any, NamedTuple

from contracts.mapping import Pair
from services.ingest.operation.breaker import Breaker
from services.ingest.operation.metrics import PairState, Verified


class PairStanding(NamedTuple):
    """What a run finds of its pair before it begins."""

    breaker: Breaker = Breaker()
    status: str = "active"
    is_leased: bool = False
    """Whether a run has it in hands."""


async def read_standing(connection: Any, county: str, pair: str) -> PairStanding:
    """How a pair stands; as good as new where it never ran."""
    row = await connection.fetchrow(
        "SELECT failures, retry_at, status, coalesce(lease_expires_at > clock_timestamp(), false) AS is_leased"
        " FROM ingest.sync_pair WHERE county = $1 AND pair = $2",
        county,
        pair,
    )
    if row is None:
        return PairStanding()
    return PairStanding(Breaker(row["failures"], row["retry_at"]), row["status"], row["is_leased"])


async def lock_breaker(connection: Any, county: str, pair: Pair) -> tuple[Breaker, datetime]:
    """A pair's breaker, locked, and the time; a pair that never ran gets its row."""
    row = await connection.fetchrow(
        "INSERT INTO ingest.sync_pair (county, pair, reader, tables) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (county, pair) DO UPDATE SET failures = ingest.sync_pair.failures"
        " RETURNING failures, retry_at, clock_timestamp() AS now",
        county,
        pair.pair,
        pair.reader,
        [table.name for table in pair.tables],
    )
    return Breaker(row["failures"], row["retry_at"]), row["now"]


async def save_breaker(connection: Any, county: str, pair: str, *, breaker: Breaker) -> None:
    """Store a pair's breaker."""
    await connection.execute(
        "UPDATE ingest.sync_pair SET failures = $3, retry_at = $4 WHERE county = $1 AND pair = $2",
        county,
        pair,
        breaker.failures,
        breaker.retry_at,
    )


async def close_breaker(connection: Any, county: str, pair: str) -> None:
    """A run went well."""
    await connection.execute(
        "UPDATE ingest.sync_pair SET failures = 0, retry_at = NULL"
        " WHERE county = $1 AND pair = $2 AND (failures > 0 OR retry_at IS NOT NULL)",
        county,
        pair,
    )


async def read_verified(connection: Any) -> list[Verified]:
    """Until when each table of all counties was followed and verified, but for paused ones."""
    rows = await connection.fetch(
        "SELECT county, pair, source_table, greatest(token_at, verified_through) AS followed, verified_through"
        " FROM ingest.sync_table WHERE status <> 'paused' AND coalesce(token_at, verified_through) IS NOT NULL"
    )
    return [Verified(*row) for row in rows]


async def read_pair_states(connection: Any) -> list[PairState]:
    """How each pair of all counties fares."""
    rows = await connection.fetch(
        "SELECT county, pair, failures, retry_at, (SELECT holds FROM ingest.certificate c WHERE c.county = p.county"
        "  AND c.pair = p.pair ORDER BY issued_at DESC, sequence DESC LIMIT 1) AS certified FROM ingest.sync_pair p"
    )
    return [PairState(*row) for row in rows]


async def forget_idle_operations(connection: Any) -> int:
    """Drop entries of the ledger that say nothing and whose jobs are gone; a pair's last one stays. How many."""
    status = await connection.execute(
        "DELETE FROM ingest.sync_operation o WHERE o.mode = 'incremental' AND o.changes = 0 AND o.events = 0"
        " AND o.certificate_id IS NULL AND o.undone_by IS NULL AND o.finished_at < now() - interval '1 hour'"
        " AND NOT EXISTS (SELECT FROM chassis.job j WHERE j.county = o.county AND j.id = o.id)"
        " AND NOT EXISTS (SELECT FROM ingest.sync_pair p WHERE p.county = o.county AND p.last_operation_id = o.id)"
    )
    return int(str(status).rsplit(" ", 1)[1])
