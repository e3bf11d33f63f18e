"""What a county may let decide on a sale without a person."""

from typing import get_args

import pytest
from pydantic import ValidationError

from contracts.api.sales_review import DecisiveReason, FindingReason
from contracts.county import SaleScrutiny

LOOKING_AT_OTHER_SALES = {"price_too_high", "price_too_low", "deed_type_below_market", "flip", "bulk"}


def test_only_findings_of_the_sale_itself_may_decide() -> None:
    reasons = set(get_args(FindingReason))
    assert set(get_args(DecisiveReason)) == reasons - LOOKING_AT_OTHER_SALES
    assert set(SaleScrutiny().decisive_reasons) <= set(get_args(DecisiveReason))


@pytest.mark.parametrize("reason", sorted(LOOKING_AT_OTHER_SALES))
def test_one_that_may_look_at_later_sales_is_refused(reason: str) -> None:
    with pytest.raises(ValidationError, match="decisive_reasons"):
        SaleScrutiny.model_validate({"decisive_reasons": [reason]})
