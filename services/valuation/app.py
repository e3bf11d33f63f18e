"""The valuation service: run it with `python -m chassis.run valuation`."""

from chassis.service import Service
from contracts.events.valuation import VALUATION_EVENTS
from services.valuation import comparables_query, comparison_query, posting_checks
from services.valuation.handlers import router
from services.valuation.settings import Settings


def subscribe(service: Service) -> None:
    """What is asked and answered at once, and synchronisations, which bring back what was posted."""
    comparables_query.subscribe(service)
    comparison_query.subscribe(service)
    posting_checks.subscribe(service)


service = Service("valuation", router=router, settings=Settings(), publishes=VALUATION_EVENTS, subscribe=subscribe)
app = service.app()
