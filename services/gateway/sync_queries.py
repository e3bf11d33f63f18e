"""Reads how sources are followed, through the views that ingest publishes."""
# Statements are put together of our own column names only; values are always parameters.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Listing:
    """A published view that is shown page by page, ordered by a key that no two rows share."""

    view: str
    columns: str
    key: Mapping[str, str]
    """The columns of the order with their types; the newest first where the first is a time."""
    filters: Mapping[str, str]
    """The columns that a caller may choose by, with their types."""

    @property
    def statement(self) -> str:
        """$1 the county or `*`, then the filters, the key of the row before, and the limit."""
        wanted = [
            f"(${number}::{kind} IS NULL OR {name} = ${number})"
            for number, (name, kind) in enumerate(self.filters.items(), start=2)
        ]
        first = 2 + len(self.filters)
        after = ", ".join(f"${number}::{kind}" for number, kind in enumerate(self.key.values(), start=first))
        newest_first = next(iter(self.key.values())) == "timestamptz"
        direction, sign = (" DESC", "<") if newest_first else ("", ">")
        order = ", ".join(f"{name}{direction}" for name in self.key)
        return (
            f"SELECT {self.columns} FROM ingest.{self.view} WHERE ($1 = '*' OR county = $1)"
            + "".join(f" AND {condition}" for condition in wanted)
            + f" AND (${first}::{next(iter(self.key.values()))} IS NULL OR ({', '.join(self.key)}) {sign} ({after}))"
            + f" ORDER BY {order} LIMIT ${first + len(self.key)}"
        )


QUARANTINE = Listing(
    "quarantine_v1",
    "county, pair, source_table, key, rule, field, value, operation_id, first_seen_at, last_seen_at",
    key=dict.fromkeys(("county", "pair", "source_table", "key", "rule"), "text"),
    filters={"pair": "text", "source_table": "text", "rule": "text"},
)
CERTIFICATES = Listing(
    "certificate_v1",
    "county, id, pair, operation_id, sequence, holds, issued_at",
    key={"issued_at": "timestamptz", "id": "uuid"},
    filters={"pair": "text", "holds": "boolean"},
)
APPROVALS = Listing(
    "approval_v1",
    "county, id, pair, operation_id, reason, details, status, asked_at, decided_by, decided_at",
    key={"asked_at": "timestamptz", "id": "uuid"},
    filters={"pair": "text", "status": "text"},
)
CONFLICTS = Listing(
    "conflict_v1",
    "county, id, entity, entity_id, field, candidates, status, choice, decided_by, decided_at, seen_at, operation_id",
    key={"seen_at": "timestamptz", "id": "uuid"},
    filters={"status": "text", "entity": "text"},
)
SCHEMA_CHANGES = Listing(
    "schema_change_v1",
    "county, id, pair, source_table, kind, columns, seen_at, operation_id",
    key={"seen_at": "timestamptz", "id": "uuid"},
    filters={"pair": "text", "source_table": "text"},
)


async def list_rows(
    connection: Any,
    county: str,
    listing: Listing,
    *,
    filters: Mapping[str, Any],
    after: Sequence[Any] | None,
    limit: int,
) -> list[Row]:
    """Rows of a county (`*`: of any) that have all the values asked for, below a point in the list."""
    chosen = [filters.get(name) for name in listing.filters]
    place = after if after is not None else [None] * len(listing.key)
    return await connection.fetch(listing.statement, county, *chosen, *place, limit)  # type: ignore[no-any-return]


async def read_certificate(connection: Any, counties: Sequence[str], certificate_id: UUID) -> Row | None:
    """One certificate of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT county, id, pair, operation_id, sequence, holds, document, signature, issued_at"
        " FROM ingest.certificate_v1 WHERE county = ANY($1::text[]) AND id = $2",
        counties,
        certificate_id,
    )


async def read_approval(connection: Any, counties: Sequence[str], approval_id: UUID) -> Row | None:
    """One approval of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT county, pair, status FROM ingest.approval_v1 WHERE county = ANY($1::text[]) AND id = $2",
        counties,
        approval_id,
    )


async def read_conflict(connection: Any, counties: Sequence[str], conflict_id: UUID) -> Row | None:
    """One conflict of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT county, candidates, status FROM ingest.conflict_v1 WHERE county = ANY($1::text[]) AND id = $2",
        counties,
        conflict_id,
    )


async def read_operation(connection: Any, counties: Sequence[str], operation_id: UUID) -> Row | None:
    """One synchronisation of any of several counties."""
    return await connection.fetchrow(  # type: ignore[no-any-return]
        "SELECT county, pair, status, sequence, undone_by FROM ingest.sync_operation_v1"
        " WHERE county = ANY($1::text[]) AND id = $2",
        counties,
        operation_id,
    )


async def list_pairs(connection: Any, county: str) -> list[Row]:
    """The legacy systems that a county (`*`: any) has been synchronised with."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT p.*, extract(epoch FROM now() - verified_through)::float8 AS lag_seconds, c.certificate"
        " FROM ingest.sync_pair_v1 p LEFT JOIN LATERAL ("
        "  SELECT jsonb_build_object('id', id, 'holds', holds, 'issued_at', issued_at) AS certificate"
        "  FROM ingest.certificate_v1 WHERE county = p.county AND pair = p.pair"
        "  ORDER BY issued_at DESC, sequence DESC LIMIT 1) c ON true"
        " WHERE $1 = '*' OR county = $1 ORDER BY county, pair",
        county,
    )


async def list_runs(connection: Any, county: str) -> list[Row]:
    """The runs that have not ended."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT county, pair, id, mode, phase, started_at, rows_read, rows_compared, rows_quarantined, rows_filtered,"
        " tables_begun, tables_done, staged_at FROM ingest.sync_run_v1 WHERE $1 = '*' OR county = $1",
        county,
    )


async def list_tables(connection: Any, county: str, *, pair: str) -> list[Row]:
    """The tables of a pair and how far each has come."""
    return await connection.fetch(  # type: ignore[no-any-return]
        "SELECT county, pair, source_table, reader, content, status, token, token_at, rows, verified_through,"
        " stopped_code, stopped_message, blind_spots, extract(epoch FROM now() - token_at)::float8 AS"
        " token_age_seconds, extract(epoch FROM now() - verified_through)::float8 AS lag_seconds"
        " FROM ingest.sync_table_v1 WHERE ($1 = '*' OR county = $1) AND pair = $2 ORDER BY county, source_table",
        county,
        pair,
    )
