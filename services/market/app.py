"""The market service: run it with `python -m chassis.run market`."""

from chassis.service import Service
from chassis.settings import ServiceSettings
from services.market.handlers import router

service = Service("market", router=router, settings=ServiceSettings())
app = service.app()
