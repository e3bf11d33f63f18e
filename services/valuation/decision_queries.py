"""SQL about what persons decide: promotions, overrides, postings."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from chassis.database import Connection
from services.valuation.domain.posting import PostedLine

Row = asyncpg.Record
_ACTIVE_OF_RUN = """
SELECT o.id FROM valuation.value_override AS o
JOIN valuation.model_run AS run ON run.county = o.county AND run.tax_year = o.tax_year
WHERE o.county = $1 AND run.run_id = $2 AND o.withdrawn_at IS NULL AND (
    EXISTS (SELECT FROM valuation.parcel_value AS v
        WHERE v.county = o.county AND v.run_id = run.run_id AND v.parcel_id = o.parcel_id)
    OR EXISTS (SELECT FROM valuation.refused_parcel AS r
        WHERE r.county = o.county AND r.run_id = run.run_id AND r.parcel_id = o.parcel_id))
"""
POSTING_COLUMNS = (
    "id", "run_id", "promotion_id", "pair", "sequence", "tax_year", "layout", "comes_back_as", "file_name", "sha256",
    "bytes", "parcels", "left_out", "total_value_usd", "land_value_usd", "improvement_value_usd", "posted_by",
)  # fmt: skip


async def lock_decisions(connection: Connection, county: str) -> None:
    """Let decisions of a county come one after another, until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('valuation decisions ' || $1, 0))", county)


async def active_overrides(connection: Connection, county: str, run_id: UUID) -> set[UUID]:
    """The values of persons that count now for parcels of a run."""
    return {row["id"] for row in await connection.fetch(_ACTIVE_OF_RUN, county, run_id)}


async def save_decision(
    connection: Connection,
    county: str,
    job_id: UUID,
    *,
    action: str,
    by: str,
    run_id: UUID | None = None,
    parcel_id: str | None = None,
) -> None:
    """Enter who did what, for good."""
    await connection.execute(
        "INSERT INTO valuation.decision (county, job_id, action, run_id, parcel_id, decided_by)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        county,
        job_id,
        action,
        run_id,
        parcel_id,
        by,
    )


async def insert_promotion(
    connection: Connection,
    county: str,
    promotion_id: UUID,
    *,
    run_id: UUID,
    overrides: set[UUID],
    by: str,
    reason: str | None,
) -> bool:
    """Ask for a run's promotion, with the overrides that are part of it; false where it has been asked for."""
    written = await connection.fetchval(
        "INSERT INTO valuation.promotion (county, id, run_id, overrides, requested_by, request_reason)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (county, run_id) WHERE status = 'requested' DO NOTHING"
        " RETURNING true",
        county,
        promotion_id,
        run_id,
        len(overrides),
        by,
        reason,
    )
    await connection.execute(
        "INSERT INTO valuation.promoted_override (county, promotion_id, override_id)"
        " SELECT $1, $2, unnest($3::uuid[]) WHERE $4",
        county,
        promotion_id,
        sorted(overrides),
        bool(written),
    )
    return bool(written)


async def lock_promotion(connection: Connection, county: str, promotion_id: UUID) -> Row | None:
    """A promotion, kept from changing until the transaction ends."""
    return await connection.fetchrow(
        "SELECT p.*, run.tax_year, run.parcels_valued, run.total_value_usd, run.values_sha256"
        " FROM valuation.promotion AS p JOIN valuation.model_run AS run USING (county, run_id)"
        " WHERE p.county = $1 AND p.id = $2 FOR UPDATE OF p",
        county,
        promotion_id,
    )


async def promoted_overrides(connection: Connection, county: str, promotion_id: UUID) -> set[UUID]:
    """The overrides that are part of a promotion."""
    rows = await connection.fetch(
        "SELECT override_id FROM valuation.promoted_override WHERE county = $1 AND promotion_id = $2",
        county,
        promotion_id,
    )
    return {row["override_id"] for row in rows}


async def decide_promotion(
    connection: Connection, county: str, promotion_id: UUID, *, status: str, by: str, reason: str | None
) -> None:
    """Say yes or no to a locked promotion."""
    await connection.execute(
        "UPDATE valuation.promotion SET status = $3, decided_by = $4, decided_at = now(), decision_reason = $5"
        " WHERE county = $1 AND id = $2",
        county,
        promotion_id,
        status,
        by,
        reason,
    )


async def read_approved(connection: Connection, county: str, run_id: UUID) -> Row | None:
    """The newest promotion of a run that was approved."""
    return await connection.fetchrow(
        "SELECT * FROM valuation.promotion WHERE county = $1 AND run_id = $2 AND status = 'approved'"
        " ORDER BY decided_at DESC, id DESC LIMIT 1",
        county,
        run_id,
    )


async def read_posting_of(connection: Connection, county: str, promotion_id: UUID) -> UUID | None:
    """The posting that was made of a promotion."""
    found: UUID | None = await connection.fetchval(
        "SELECT id FROM valuation.posting WHERE county = $1 AND promotion_id = $2", county, promotion_id
    )
    return found


async def read_roll(connection: Connection, county: str, run_id: UUID, promotion_id: UUID) -> list[Row]:
    """Every parcel of a run, or with a promoted override, with both values, by parcel.

    The supplement is that of the run's year; where the record works on another year by now it is not known.
    """
    return await connection.fetch(
        """
        WITH model AS (
            SELECT parcel_id, value_usd, land_value_usd FROM valuation.parcel_value
            WHERE county = $1 AND run_id = $2
        ), person AS (
            SELECT o.parcel_id, o.id, o.value_usd, o.land_value_usd FROM valuation.promoted_override AS p
            JOIN valuation.value_override AS o ON o.county = p.county AND o.id = p.override_id
            WHERE p.county = $1 AND p.promotion_id = $3
        )
        SELECT roll.*, parcel.parcel_number, coalesce(parcel.is_active, false) AS is_active,
            CASE WHEN parcel.tax_year = (SELECT tax_year FROM valuation.model_run WHERE county = $1 AND run_id = $2)
                THEN parcel.supplement END AS supplement
        FROM (
            SELECT coalesce(model.parcel_id, person.parcel_id) AS parcel_id, model.value_usd, model.land_value_usd,
                person.id AS override_id, person.value_usd AS override_usd, person.land_value_usd AS override_land_usd
            FROM model FULL JOIN person ON person.parcel_id = model.parcel_id
        ) AS roll
        LEFT JOIN ingest.parcel_v1 AS parcel ON parcel.county = $1 AND parcel.parcel_id = roll.parcel_id
        ORDER BY roll.parcel_id
        """,
        county,
        run_id,
        promotion_id,
    )


async def save_posting(connection: Connection, county: str, posting: Mapping[str, Any]) -> None:
    """Enter a posting."""
    places = ", ".join(f"${number}" for number in range(2, len(POSTING_COLUMNS) + 2))
    await connection.execute(
        f"INSERT INTO valuation.posting (county, {', '.join(POSTING_COLUMNS)}) VALUES ($1, {places})",  # noqa: S608
        county,
        *(posting[name] for name in POSTING_COLUMNS),
    )


async def save_posted(connection: Connection, county: str, posting_id: UUID, posted: Sequence[PostedLine]) -> None:
    """Enter what a value file says of each parcel, to be found again in the record."""
    await connection.execute(
        "INSERT INTO valuation.posted_value"
        " (county, posting_id, parcel_id, value_usd, land_value_usd, improvement_value_usd, override_id)"
        " SELECT $1, $2, * FROM unnest($3::text[], $4::int8[], $5::int8[], $6::int8[], $7::uuid[])",
        county,
        posting_id,
        [line.parcel_id for line in posted],
        [line.value_usd for line in posted],
        [line.land_value_usd for line in posted],
        [line.improvement_value_usd for line in posted],
        [line.override_id for line in posted],
    )


async def read_parcel_year(connection: Connection, county: str, parcel_id: str) -> Row | None:
    """The working year of a parcel, and its newest value."""
    return await connection.fetchrow(
        "SELECT parcel.tax_year, value.run_id, value.tax_year AS value_year, value.value_usd"
        " FROM ingest.parcel_v1 AS parcel LEFT JOIN valuation.latest_value_v1 AS value"
        "  ON value.county = parcel.county AND value.parcel_id = parcel.parcel_id"
        " WHERE parcel.county = $1 AND parcel.parcel_id = $2",
        county,
        parcel_id,
    )


async def insert_override(connection: Connection, county: str, entry: Mapping[str, Any]) -> bool:
    """Enter a person's value; false where the parcel has one for that year."""
    names = ("id", "parcel_id", "tax_year", "value_usd", "land_value_usd", "reason", "run_id", "model_value_usd",
             "created_by")  # fmt: skip
    written = await connection.fetchval(
        f"INSERT INTO valuation.value_override (county, {', '.join(names)})"  # noqa: S608 names of ours
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " ON CONFLICT (county, parcel_id, tax_year) WHERE withdrawn_at IS NULL DO NOTHING RETURNING true",
        county,
        *(entry[name] for name in names),
    )
    return bool(written)


async def withdraw_override(
    connection: Connection, county: str, override_id: UUID, *, by: str, reason: str | None
) -> Row | None:
    """Let a person's value no longer count; null where it does not count, or is not there."""
    return await connection.fetchrow(
        "UPDATE valuation.value_override SET withdrawn_by = $3, withdrawn_at = now(), withdrawal_reason = $4"
        " WHERE county = $1 AND id = $2 AND withdrawn_at IS NULL RETURNING parcel_id, tax_year",
        county,
        override_id,
        by,
        reason,
    )


async def open_postings(
    connection: Connection, county: str, *, pair: str, has_parcels: bool, longest: timedelta
) -> list[Row]:
    """Postings to a pair that has been read since, and that have not all come back; none that is long ago.

    A synchronisation that changed no parcel has nothing to add to one that was laid beside the posting before.
    """
    return await connection.fetch(
        """
        SELECT posting.id, posting.run_id, posting.tax_year, posting.parcels
        FROM valuation.posting AS posting
        JOIN ingest.sync_pair_v1 AS pair ON pair.county = posting.county AND pair.pair = posting.pair
        LEFT JOIN LATERAL (
            SELECT known.matched FROM valuation.posting_check AS known
            WHERE known.county = posting.county AND known.posting_id = posting.id
            ORDER BY known.checked_at DESC LIMIT 1
        ) AS newest ON true
        WHERE posting.county = $1 AND posting.pair = $2 AND posting.posted_at > now() - $4::interval
            AND coalesce(pair.verified_through, pair.last_synchronized_at) > posting.posted_at
            AND (newest.matched IS NULL OR (newest.matched < posting.parcels AND $3))
        ORDER BY posting.posted_at, posting.id
        """,
        county,
        pair,
        has_parcels,
        longest,
    )


async def check_posting(
    connection: Connection, county: str, posting_id: UUID, *, operation_id: UUID, sequence: int | None
) -> Row | None:
    """Count what came back of a posting and keep it; null where the operation was laid beside it before."""
    return await connection.fetchrow(
        """
        INSERT INTO valuation.posting_check (county, posting_id, operation_id, sequence, matched, different, missing,
            found_usd)
        SELECT $1, $2, $3, $4, count(*) FILTER (WHERE status = 'matched'), count(*) FILTER (WHERE status = 'different'),
            count(*) FILTER (WHERE status = 'missing'), sum(found_usd)
        FROM valuation.posted_parcel_v1 WHERE county = $1 AND posting_id = $2
        ON CONFLICT DO NOTHING RETURNING matched, different, missing
        """,
        county,
        posting_id,
        operation_id,
        sequence,
    )


async def read_sequence(connection: Connection, county: str, operation_id: UUID) -> int | None:
    """The number of a synchronisation among those of its pair."""
    found: int | None = await connection.fetchval(
        "SELECT sequence FROM ingest.sync_operation_v1 WHERE county = $1 AND id = $2", county, operation_id
    )
    return found
