"""Reads runs, overrides and postings through the views that the valuation publishes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from contracts.api.valuation_runs import OverridesQuery, RunsQuery, RunValuesQuery

Row = asyncpg.Record
Place = tuple[datetime, UUID] | None

_RUN = (
    "run_id, county, tax_year, valuation_date, model, is_what_if, parcels_valued, parcels_refused, parcels_flagged,"
    " total_value_usd, requested_by, created_at, code_version, snapshot, input_sha256, values_sha256, promotion_status,"
    " posted_at"
)
_OVERRIDE = (
    "id, county, parcel_id, tax_year, value_usd, land_value_usd, reason, run_id, model_value_usd, created_by,"
    " created_at, withdrawn_by, withdrawn_at, withdrawal_reason"
)
#: said as it is, not as a parameter, for PostgreSQL to see that the index of flagged values serves
_FLAGGED = {None: "", True: " AND v.flags <> '{}'", False: " AND v.flags = '{}'"}
_STATUS = "CASE WHEN $3::bool THEN status ELSE 'pending' END"


async def list_runs(connection: Any, county: str, query: RunsQuery, *, after: Place) -> list[Row]:
    """The newest runs of a county (`*`: of any) below a point in the list."""
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT {_RUN} FROM valuation.run_v1 WHERE ($1 = '*' OR county = $1)"  # noqa: S608 our own column list
        " AND ($2::int IS NULL OR tax_year = $2) AND ($3::text IS NULL OR model = $3)"
        " AND ($4::bool IS NULL OR is_what_if = $4)"
        " AND ($5::timestamptz IS NULL OR (created_at, run_id) < ($5, $6::uuid))"
        " ORDER BY created_at DESC, run_id DESC LIMIT $7",
        county,
        query.tax_year,
        query.model,
        query.is_what_if,
        *(after or (None, None)),
        query.limit + 1,
    )


async def read_run(connection: Any, counties: Sequence[str], run_id: UUID) -> Row | None:
    """One run of any of several counties, whole."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT * FROM valuation.run_v1 WHERE county = ANY($1::text[]) AND run_id = $2", counties, run_id
    )


async def count_flags(connection: Any, county: str, run_id: UUID) -> dict[str, int]:
    """How many of a run's values have each flag."""
    rows = await connection.fetch(
        "SELECT flag, count(*) AS parcels FROM valuation.parcel_value_v1, unnest(flags) AS flag"
        " WHERE county = $1 AND run_id = $2 AND flags <> '{}' GROUP BY flag ORDER BY flag",
        county,
        run_id,
    )
    return {row["flag"]: row["parcels"] for row in rows}


async def count_refused(connection: Any, county: str, run_id: UUID) -> dict[str, int]:
    """How many parcels a run has refused, by reason."""
    rows = await connection.fetch(
        "SELECT reason, count(*) AS parcels FROM valuation.refused_parcel_v1 WHERE county = $1 AND run_id = $2"
        " GROUP BY reason ORDER BY reason",
        county,
        run_id,
    )
    return {row["reason"]: row["parcels"] for row in rows}


async def list_promotions(connection: Any, county: str, run_id: UUID) -> list[Row]:
    """A run's promotions, the newest first."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT * FROM valuation.promotion_v1 WHERE county = $1 AND run_id = $2 ORDER BY requested_at DESC, id DESC",
        county,
        run_id,
    )


async def list_postings(connection: Any, county: str, run_id: UUID) -> list[Row]:
    """A run's postings, the newest first."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT posting.*, (SELECT count(*) FROM jsonb_object_keys(left_out)) AS parcels_left_out"
        " FROM valuation.posting_v1 AS posting WHERE county = $1 AND run_id = $2 ORDER BY posted_at DESC, id DESC",
        county,
        run_id,
    )


async def list_decisions(connection: Any, county: str, run_id: UUID) -> list[Row]:
    """Who did what with a run, in its order."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT action, decided_by AS by, decided_at AS at, job_id FROM valuation.decision_v1"
        " WHERE county = $1 AND run_id = $2 ORDER BY decided_at, job_id",
        county,
        run_id,
    )


async def list_values(
    connection: Any, county: str, run_id: UUID, query: RunValuesQuery, *, after: str | None
) -> list[Row]:
    """A run's values by parcel, with the values of persons that count now."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT v.parcel_id, v.kind, v.neighborhood, v.use_code, v.value_usd, v.model_value_usd, v.uncapped_value_usd,"  # noqa: S608
        " v.prior_value_usd, round((v.value_usd / nullif(v.prior_value_usd, 0) - 1) * 100, 4) AS change_percent,"
        " v.land_value_usd, v.improvement_value_usd, v.low_usd, v.high_usd, v.confidence, v.flags,"
        " o.id AS override_id, o.value_usd AS override_value_usd"
        " FROM valuation.parcel_value_v1 AS v LEFT JOIN valuation.value_override_v1 AS o ON o.county = v.county"
        "  AND o.parcel_id = v.parcel_id AND o.tax_year = v.tax_year AND o.withdrawn_at IS NULL"
        " WHERE v.county = $1 AND v.run_id = $2 AND ($3::text IS NULL OR v.parcel_id > $3)"
        f" AND ($4::text IS NULL OR $4 = ANY(v.flags)){_FLAGGED[query.is_flagged]}"
        f"{_FLAGGED[True] if query.flag else ''}"
        " AND ($5::text IS NULL OR v.neighborhood = $5) AND ($6::text IS NULL OR starts_with(v.use_code, $6))"
        " AND ($7::text IS NULL OR v.parcel_id = $7) ORDER BY v.parcel_id LIMIT $8",
        county,
        run_id,
        after,
        query.flag,
        query.neighborhood,
        query.use_code,
        query.parcel_id,
        query.limit + 1,
    )


async def list_overrides(connection: Any, county: str, query: OverridesQuery, *, after: Place) -> list[Row]:
    """The newest values of persons of a county (`*`: of any) below a point in the list."""
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT {_OVERRIDE} FROM valuation.value_override_v1 WHERE ($1 = '*' OR county = $1)"  # noqa: S608 as above
        " AND ($2::text IS NULL OR parcel_id = $2) AND ($3::int IS NULL OR tax_year = $3)"
        " AND ($4::bool IS NULL OR (withdrawn_at IS NULL) = $4)"
        " AND ($5::timestamptz IS NULL OR (created_at, id) < ($5, $6::uuid))"
        " ORDER BY created_at DESC, id DESC LIMIT $7",
        county,
        query.parcel_id,
        query.tax_year,
        query.is_active,
        *(after or (None, None)),
        query.limit + 1,
    )


async def read_override(connection: Any, counties: Sequence[str], override_id: UUID) -> Row | None:
    """One value of a person, of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        f"SELECT {_OVERRIDE} FROM valuation.value_override_v1"  # noqa: S608 as above
        " WHERE county = ANY($1::text[]) AND id = $2",
        counties,
        override_id,
    )


async def read_verified_through(connection: Any, county: str, pair: str) -> datetime | None:
    """Until when the record has what a pair's source held."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        "SELECT coalesce(verified_through, last_synchronized_at) FROM ingest.sync_pair_v1"
        " WHERE county = $1 AND pair = $2",
        county,
        pair,
    )


async def sum_posted(connection: Any, county: str, posting_id: UUID, *, is_synchronized: bool) -> list[Row]:
    """A posting's parcels by what came back of them, with both sums."""
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT {_STATUS} AS status, count(*) AS parcels, sum(posted_usd) AS posted_usd,"  # noqa: S608 as above
        " sum(found_usd) AS found_usd FROM valuation.posted_parcel_v1 AS parcel WHERE county = $1 AND posting_id = $2"
        " GROUP BY 1",
        county,
        posting_id,
        is_synchronized,
    )


async def list_posted(
    connection: Any,
    county: str,
    posting_id: UUID,
    *,
    is_synchronized: bool,
    status: str | None,
    after: str | None,
    limit: int,
) -> list[Row]:
    """What was posted of each parcel beside what the record has of it now, by parcel."""
    return await connection.fetch(  # type: ignore[no-any-return]
        f"SELECT parcel_id, {_STATUS} AS status, CASE WHEN $3::bool THEN reason END AS reason, posted_usd,"  # noqa: S608
        " posted_land_usd, posted_improvement_usd, found_usd, found_land_usd, found_improvement_usd, found_tax_year"
        " FROM valuation.posted_parcel_v1 WHERE county = $1 AND posting_id = $2"
        f" AND ($4::text IS NULL OR {_STATUS} = $4) AND ($5::text IS NULL OR parcel_id > $5)"
        " ORDER BY parcel_id LIMIT $6",
        county,
        posting_id,
        is_synchronized,
        status,
        after,
        limit + 1,
    )


async def list_checks(connection: Any, county: str, posting_id: UUID) -> list[Row]:
    """What synchronisations had brought back of a posting, the newest first."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT * FROM valuation.posting_check_v1 WHERE county = $1 AND posting_id = $2"
        " ORDER BY checked_at DESC LIMIT 100",
        county,
        posting_id,
    )
