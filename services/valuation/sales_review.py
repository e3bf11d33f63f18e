"""Looks for sales that a person should see, and enters what persons say of sales."""

from collections import Counter
from datetime import UTC, datetime

import polars as pl

from appraisal.sale_patterns import DeedCodes
from appraisal.sale_scrutiny import OddSale, scrutinize_sales
from chassis.errors import NotFoundError
from chassis.jobs import RunningJob
from contracts.api.valuation import ValuationParameters
from contracts.county import County
from contracts.events.valuation import ValuationSaleDecided
from services.valuation import decision_queries, sale_queries
from services.valuation.deciding import require_person
from services.valuation.domain.properties import kinds
from services.valuation.evidence import first_sale_date, use_codes, valued_at


async def review_sales(job: RunningJob, parameters: ValuationParameters) -> None:
    """Scrutinise the sales that a valuation learns from and every later one; what was found before is replaced."""
    await job.progress(0, 2, "steps", "reading sales")
    async with job.database.read(job.county) as connection:
        _, at = await valued_at(
            connection, job.county_file, tax_year=parameters.tax_year, valuation_date=parameters.valuation_date
        )
        sales = await sale_queries.read_scrutinized(connection, job.county, from_date=first_sale_date(at))
    await job.progress(1, 2, "steps", f"scrutinising {sales.height} sales")
    odd = await job.compute(_scrutinize, sales, job.county_file)
    found = Counter(finding.reason for sale in odd for finding in sale.findings)
    result = {
        "from_date": first_sale_date(at).isoformat(),
        "sales": sales["sale_id"].n_unique(),
        "odd_sales": len(odd),
        "findings": dict(sorted(found.items())),
    }
    async with job.completing(result) as unit:
        await decision_queries.lock_decisions(unit.connection, job.county)
        await sale_queries.replace_reviews(unit.connection, job.county, job.id, odd=odd, sales=sales)


async def decide_sale(job: RunningJob, parameters: ValuationParameters) -> None:
    """Enter a person's decision beside the source's own code, which stays as it is."""
    require_person(job)
    entry = parameters.sale_decision
    assert entry is not None
    result = {"decision_id": str(job.id), "sale_id": entry.sale_id, "decision": entry.decision}
    async with job.completing(result) as unit:
        await decision_queries.lock_decisions(unit.connection, job.county)
        sale = await sale_queries.read_sale(unit.connection, job.county, entry.sale_id)
        if sale is None:
            raise NotFoundError("sale_not_found", f"there is no sale {entry.sale_id!r} in {job.county}")
        await sale_queries.insert_decision(
            unit.connection,
            job.county,
            job.id,
            sale_id=entry.sale_id,
            sale=sale,
            decision=entry.decision,
            reason=entry.reason,
            by=job.requested_by,
        )
        await decision_queries.save_decision(
            unit.connection, job.county, job.id, action="sale_decided", by=job.requested_by, parcel_id=sale["parcel_id"]
        )
        await unit.publish(
            ValuationSaleDecided(
                county=job.county,
                occurred_at=datetime.now(UTC),
                job_id=job.id,
                sale_id=entry.sale_id,
                parcel_id=sale["parcel_id"],
                decision=entry.decision,
                decided_by=job.requested_by,
            )
        )


def _scrutinize(sales: pl.DataFrame, county: County) -> list[OddSale]:
    said = county.sale_scrutiny
    codes = DeedCodes(forced=said.forced_sale_codes, not_market=said.nonmarket_deed_codes)
    kind = pl.Series("kind", kinds(sales, use_codes(county)).tolist(), dtype=pl.String)
    return scrutinize_sales(sales.with_columns(kind), codes)
