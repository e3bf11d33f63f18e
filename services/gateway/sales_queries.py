"""Reads sales with findings and decisions through the views that the valuation publishes."""

from typing import Any

import asyncpg

from contracts.api.sales_review import SalesReviewQuery

Place = tuple[float, str, str] | None


async def list_reviewed(connection: Any, county: str, query: SalesReviewQuery, *, after: Place) -> list[asyncpg.Record]:
    """Sales of a county (`*`: of any) with findings, the most influential first, below a point in the list."""
    return await connection.fetch(  # type: ignore[no-any-return]
        """
        SELECT review.county, review.sale_id, review.parcel_id, review.neighborhood, review.sale_date,
            review.sale_price_usd, sale.deed_type, sale.validity_code, sale.is_qualified, review.expected_price_usd,
            review.robust_z, review.influence_percent, review.strength, review.findings, review.found_at,
            decided.id AS decision_id, decided.decision, decided.reason, decided.decided_by, decided.decided_at,
            about.is_current
        FROM valuation.sale_review_v1 AS review
        LEFT JOIN ingest.sale_v1 AS sale ON sale.county = review.county AND sale.sale_id = review.sale_id
            AND sale.parcel_id = review.parcel_id
        LEFT JOIN valuation.sale_decision_v1 AS decided
            ON decided.county = review.county AND decided.sale_id = review.sale_id
        CROSS JOIN LATERAL (
            SELECT decided.id IS NOT NULL AND decided.sale_price_usd IS NOT DISTINCT FROM sale.sale_price_usd
                AND decided.sale_date IS NOT DISTINCT FROM sale.sale_date AS is_current
        ) AS about
        WHERE ($1 = '*' OR review.county = $1)
            AND ($2 = 'all' OR (about.is_current AND decided.decision <> 'needs_more') = ($2 = 'decided'))
            AND ($3::text IS NULL OR review.findings @> jsonb_build_array(jsonb_build_object('reason', $3::text)))
            AND ($4::bool IS NULL OR sale.is_qualified = $4) AND ($5::text IS NULL OR review.neighborhood = $5)
            AND ($6::text IS NULL OR review.sale_id = $6) AND review.strength >= $7
            AND ($8::float8 IS NULL OR review.influence_percent < $8
                OR (review.influence_percent = $8 AND (review.county, review.sale_id) > ($9::text, $10::text)))
        ORDER BY review.influence_percent DESC, review.county, review.sale_id LIMIT $11
        """,
        county,
        query.status,
        query.reason,
        query.is_qualified,
        query.neighborhood,
        query.sale_id,
        query.minimum_strength,
        *(after or (None, None, None)),
        query.limit + 1,
    )


async def has_sale(connection: Any, county: str, sale_id: str) -> bool:
    """Whether the record has a sale."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        "SELECT EXISTS (SELECT FROM ingest.sale_v1 WHERE county = $1 AND sale_id = $2)", county, sale_id
    )
