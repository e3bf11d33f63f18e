"""The reporting service: run it with `python -m chassis.run reporting`."""

from chassis.service import Service
from chassis.settings import ServiceSettings
from services.reporting.handlers import router

service = Service("reporting", router=router, settings=ServiceSettings())
app = service.app()
