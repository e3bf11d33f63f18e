"""The SQL of what contributing pairs say, of conflicts, and of parcels that are not in the record."""
# ruff: noqa: S608

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from contracts.mapping import Link, Pair
from contracts.quarantine import ReadingFault
from services.ingest.domain.contributions import Contribution

Row = Mapping[str, Any]
_PAIR = "county = $1 AND pair = $2"
#: an owner is named by its parcel's id, a slash and its own
_OF_PARCELS = (
    "(entity = 'parcel' AND entity_id = ANY($2::text[])"
    " OR entity = 'owner' AND regexp_replace(entity_id, '/[^/]*$', '') = ANY($2::text[]))"
)


async def lock_record(connection: Any, county: str) -> None:
    """Keep other pairs of the county from renewing parcels until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('ingest.record'), hashtext($1))", county)


async def read_said(
    connection: Any, county: str, pairs: Sequence[str], *, entity: str, matches: Collection[str]
) -> list[Row]:
    """What pairs say of parcels or owners, in the order of their own ids."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT pair, matches, fields, origin FROM ingest.contribution WHERE county = $1 AND entity = $3"
        ' AND matches = ANY($4::text[]) AND pair = ANY($2::text[]) ORDER BY pair, match_key COLLATE "C"',
        county, pairs, entity, list(matches),
    )  # fmt: skip


async def standing(connection: Any, county: str, pair: str, parcel_keys: Sequence[str]) -> list[Row]:
    """What is known of a pair's parcels and their owners."""
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT entity, match_key, parcel_key, matches, digest FROM ingest.contribution WHERE {_PAIR}"
        " AND parcel_key = ANY($3::text[])",
        county, pair, parcel_keys,
    )  # fmt: skip


async def save_said(connection: Any, county: str, pair: str, said: Sequence[tuple[Contribution, str]]) -> None:
    """Keep what a pair says now; each with the pair's own id of the parcel."""
    await connection.executemany(
        "INSERT INTO ingest.contribution (county, pair, entity, match_key, fields, digest, origin, parcel_key, matches)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (county, pair, entity, match_key) DO UPDATE SET"
        " fields = excluded.fields, digest = excluded.digest, origin = excluded.origin, matches = excluded.matches,"
        " parcel_key = excluded.parcel_key, updated_at = now()",
        [
            (county, pair, one.entity, one.key, dict(one.fields), one.digest, "terrafusion" if one.is_echo else None,
             parcel_key, one.matches)
            for one, parcel_key in said
        ],
    )  # fmt: skip


async def forget_said(connection: Any, county: str, pair: str, *, entity: str, keys: Sequence[str]) -> None:
    """Remove what a pair says no longer."""
    await connection.execute(
        f"DELETE FROM ingest.contribution WHERE {_PAIR} AND entity = $3 AND match_key = ANY($4::text[])",
        county, pair, entity, keys,
    )  # fmt: skip


async def touch_said(connection: Any, county: str, pair: str) -> None:
    """Parcels of which the pair has said something are touched, also where it says nothing any more."""
    await connection.execute(
        f"INSERT INTO touched_parcel (id) SELECT DISTINCT parcel_key FROM ingest.contribution WHERE {_PAIR}"
        " ON CONFLICT DO NOTHING",
        county, pair,
    )  # fmt: skip


async def prepare_matches(connection: Any) -> None:
    """A table for what a run has to be matched again."""
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS touched_match (id text PRIMARY KEY, is_ours boolean NOT NULL) ON COMMIT DROP"
    )
    await connection.execute("TRUNCATE touched_match")


async def add_matches(connection: Any, matches: Collection[str], *, is_ours: bool) -> None:
    """Parcels of the record that are known by these are to be renewed; ours only if nothing else has changed them."""
    await connection.execute(
        "INSERT INTO touched_match AS m SELECT unnest($1::text[]), $2 ON CONFLICT (id) DO UPDATE"
        " SET is_ours = m.is_ours AND excluded.is_ours",
        sorted(matches), is_ours,
    )  # fmt: skip


async def touch_matched(connection: Any, county: str, primary: str, pair: Pair, *, is_ours: bool) -> None:
    """Touch the parcels of the record that are to be renewed, for our own values alone or for anything else."""
    await connection.execute("ANALYZE touched_match")
    await connection.execute(
        "INSERT INTO touched_parcel (id) SELECT DISTINCT e.parcel_id FROM ingest.parcel e JOIN touched_match m"
        f" ON m.id = {known_by(pair)} WHERE {_PAIR} AND is_current AND m.is_ours = $4 ORDER BY 1"
        " ON CONFLICT DO NOTHING",
        county, primary, pair.match.ignore, is_ours,
    )  # fmt: skip


async def count_said(connection: Any, county: str, pair: str) -> int:
    """How many parcels a pair says something of."""
    count: int = await connection.fetchval(
        f"SELECT count(*) FROM ingest.contribution WHERE {_PAIR} AND entity = 'parcel'", county, pair
    )
    return count


async def hold_unmatched(connection: Any, county: str, pair: Pair, *, primary: str, operation_id: UUID) -> int:
    """Put rows of parcels that are not in the record into quarantine, and release the others; returns how many."""
    root = pair.table_by_name[pair.entities.parcel.root]
    await connection.execute(
        "CREATE TEMP TABLE unmatched ON COMMIT DROP AS SELECT r.key, c.match_key FROM ingest.contribution c"
        " JOIN ingest.source_row r ON r.county = c.county AND r.pair = c.pair AND r.source_table = $5"
        "  AND r.parcel_id = c.match_key"
        " WHERE c.county = $1 AND c.pair = $4 AND c.entity = 'parcel' AND NOT EXISTS ("
        f"  SELECT FROM ingest.parcel e WHERE e.county = $1 AND e.pair = $2 AND is_current"
        f"  AND {known_by(pair)} = c.matches)",
        county, primary, pair.match.ignore, pair.pair, root.name,
    )  # fmt: skip
    rule = ReadingFault.PARCEL_UNMATCHED.value
    await connection.execute(
        "DELETE FROM ingest.quarantine q WHERE county = $1 AND pair = $2 AND rule = $3"
        " AND NOT EXISTS (SELECT FROM unmatched u WHERE u.key = q.key)",
        county, pair.pair, rule,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO ingest.quarantine AS q (county, pair, source_table, key, rule, field, value, operation_id)"
        " SELECT $1, $2, $4, key, $3, $5, match_key, $6 FROM unmatched"
        " ON CONFLICT (county, pair, source_table, key, rule) DO UPDATE SET last_seen_at = now(),"
        " operation_id = excluded.operation_id",
        county, pair.pair, rule, root.name, ", ".join(root.link_columns(Link.PARCEL_ID)), operation_id,
    )  # fmt: skip
    count: int = await connection.fetchval("SELECT count(DISTINCT match_key) FROM unmatched")
    await connection.execute("DROP TABLE unmatched")
    return count


async def open_conflicts(connection: Any, county: str, parcel_ids: Sequence[str]) -> list[Row]:
    """Conflicts of parcels and their owners that wait for a person."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT id, entity, entity_id, field, candidates FROM ingest.conflict"
        f" WHERE county = $1 AND status = 'open' AND {_OF_PARCELS}",
        county, parcel_ids,
    )  # fmt: skip


async def decided_conflicts(connection: Any, county: str, parcel_ids: Sequence[str]) -> list[Row]:
    """What people chose, the last choice of each field."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT DISTINCT ON (entity, entity_id, field) entity, entity_id, field, candidates, choice"
        f" FROM ingest.conflict WHERE county = $1 AND status = 'resolved' AND choice IS NOT NULL AND {_OF_PARCELS}"
        " ORDER BY entity, entity_id, field, decided_at DESC",
        county, parcel_ids,
    )  # fmt: skip


async def open_conflict(
    connection: Any, county: str, conflict_id: UUID, *, entity: str, entity_id: str, field: str,
    candidates: list[dict[str, Any]], operation_id: UUID,
) -> None:  # fmt: skip
    """Ask a person."""
    await connection.execute(
        "INSERT INTO ingest.conflict (county, id, entity, entity_id, field, candidates, operation_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        county, conflict_id, entity, entity_id, field, candidates, operation_id,
    )  # fmt: skip


async def change_conflict(connection: Any, county: str, conflict_id: UUID, candidates: list[dict[str, Any]]) -> None:
    """The systems say something else by now, and still not the same."""
    await connection.execute(
        "UPDATE ingest.conflict SET candidates = $3 WHERE county = $1 AND id = $2", county, conflict_id, candidates
    )


async def settle_conflicts(connection: Any, county: str, ids: Sequence[UUID]) -> None:
    """Close conflicts that ended without a person: the systems agree, or the mapping says whose word counts."""
    await connection.execute(
        "UPDATE ingest.conflict SET status = 'resolved', decided_at = now() WHERE county = $1 AND id = ANY($2::uuid[])",
        county, ids,
    )  # fmt: skip


async def lock_conflict(connection: Any, county: str, conflict_id: UUID) -> Row | None:
    """A conflict, for this transaction alone."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM ingest.conflict WHERE county = $1 AND id = $2 FOR UPDATE", county, conflict_id
    )


async def decide_conflict(connection: Any, county: str, conflict_id: UUID, *, choice: str, by: str) -> None:
    """Note whom a person believes."""
    await connection.execute(
        "UPDATE ingest.conflict SET status = 'resolved', choice = $3, decided_by = $4, decided_at = now()"
        " WHERE county = $1 AND id = $2",
        county, conflict_id, choice, by,
    )  # fmt: skip


async def touch_one(connection: Any, parcel_id: str) -> None:
    """Touch one parcel more."""
    await connection.execute("INSERT INTO touched_parcel (id) VALUES ($1)", parcel_id)


def known_by(pair: Pair) -> str:
    """The SQL of what a pair knows a parcel `e` of the record by; parameter 3 is what counts for nothing."""
    return f"translate(btrim(e.{pair.match.parcel}), $3, '')"
