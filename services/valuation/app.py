"""The valuation service: run it with `python -m chassis.run valuation`."""

from chassis.service import Service
from chassis.settings import ServiceSettings
from services.valuation.comparables_query import subscribe
from services.valuation.handlers import router

service = Service("valuation", router=router, settings=ServiceSettings(), subscribe=subscribe)
app = service.app()
