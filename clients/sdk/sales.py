"""`terrafusion sales …`: find odd sales, look at them, and say whether they count."""

from itertools import islice
from typing import Annotated

import typer

from clients.sdk.client import TerraFusion
from clients.sdk.connection import gateway
from clients.sdk.jobs import show, watch_job
from clients.sdk.output import console, listing
from clients.sdk.sales_reviews import SalesReviews
from contracts.api.jobs import Job
from contracts.api.sales_review import FindingReason, ReviewedSale, ReviewStatus, SaleVerdict

sales_app = typer.Typer(name="sales", help="Sales and whether they count.", no_args_is_help=True)
County = Annotated[str, typer.Option(help="The county's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@sales_app.command("scrutinize")
def sales_scrutinize(county: County, *, as_json: AsJson = False) -> None:
    """Look through a county's sales for odd prices, flips, bulk sales, forced sales and the like."""
    with gateway() as client:
        show(_watch(client, SalesReviews(client).scrutinize(county), as_json=as_json))


@sales_app.command("review")
def sales_review(
    *,
    county: Annotated[str | None, typer.Option(help="Only this county's.")] = None,
    status: Annotated[ReviewStatus, typer.Option(help="Open: undecided, or more is needed.")] = "open",
    reason: Annotated[FindingReason | None, typer.Option(help="Only sales with this finding.")] = None,
    neighborhood: Annotated[str | None, typer.Option(help="Only of this neighbourhood.")] = None,
    qualified: Annotated[bool | None, typer.Option(help="Only those that the source's code lets count.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the sales to look at, the most influential first."""
    chosen = {
        "county": county, "status": status, "reason": reason, "neighborhood": neighborhood, "is_qualified": qualified,
    }  # fmt: skip
    with gateway() as client:
        found = list(islice(SalesReviews(client).review(**chosen), limit))
    if as_json:
        console.print_json(data=[sale.model_dump(mode="json") for sale in found])
    else:
        _print_sales(found)


@sales_app.command("decide")
def sales_decide(
    sale: Annotated[str, typer.Argument(help="The sale's id.")],
    decision: Annotated[SaleVerdict, typer.Argument(help="valid, invalid or needs_more.")],
    *,
    county: County,
    reason: Annotated[str, typer.Option(help="Why, for the record; no names of people.")],
    as_json: AsJson = False,
) -> None:
    """Say whether a sale counts; the source's own code stays as it is."""
    with gateway() as client:
        show(_watch(client, SalesReviews(client).decide(county, sale, decision, reason=reason), as_json=as_json))


def _watch(client: TerraFusion, job: Job, *, as_json: bool) -> Job:
    return client.wait(job) if as_json else watch_job(client, job)


def _print_sales(found: list[ReviewedSale]) -> None:
    names = ("sale", "parcel", "date", "price", "expected", "z", "moves %", "code", "findings", "decision")
    table = listing(*names, whole=["sale"])
    for sale in found:
        odd = ", ".join(f"{finding.reason} {finding.strength:.2f}" for finding in sale.findings)
        table.add_row(
            sale.sale_id,
            sale.parcel_id,
            f"{sale.sale_date}",
            _number(sale.sale_price_usd, ",.0f"),
            _number(sale.expected_price_usd, ",.0f"),
            _number(sale.robust_z, "+.1f"),
            _number(sale.influence_percent, ".2f"),
            f"{sale.validity_code or ''}{'' if sale.is_qualified else ' (out)'}",
            odd,
            sale.decision.decision if sale.decision else "",
        )
    console.print(table)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
