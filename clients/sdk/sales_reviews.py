"""Sales to look at, for programs: `SalesReviews(TerraFusion(url).login(...))`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from clients.sdk.client import TerraFusion
from contracts.api.jobs import Job
from contracts.api.sales_review import ReviewedSale, SaleVerdict

_ROOT = "/api/v1/sales"
_PAGE = 500


class SalesReviews:
    """What one caller may see and decide of a gateway's sales."""

    def __init__(self, client: TerraFusion) -> None:
        self.client = client

    def scrutinize(self, county: str) -> Job:
        """Have a county's sales looked through anew; a job, to be waited for."""
        return self.client.run("valuation", county, {"mode": "review_sales"})

    def review(self, **filters: Any) -> Iterator[ReviewedSale]:
        """Sales to look at, the most influential first; by the names of `SalesReviewQuery`."""
        query = {"limit": _PAGE, **{name: value for name, value in filters.items() if value is not None}}
        while True:
            page = self.client.request("GET", f"{_ROOT}/review", params=query)
            yield from (ReviewedSale.model_validate(item) for item in page["items"])
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    def decide(
        self, county: str, sale_id: str, decision: SaleVerdict, *, reason: str, idempotency_key: str | None = None
    ) -> Job:
        """Say whether a sale counts; a job, to be waited for."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        body = {"county": county, "decision": decision, "reason": reason}
        path = f"{_ROOT}/{quote(sale_id)}/decision"
        return Job.model_validate(self.client.request("POST", path, json=body, headers=headers))
