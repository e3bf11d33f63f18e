"""The gisexport service: run it with `python -m chassis.run gisexport`."""

from chassis.service import Service
from chassis.settings import ServiceSettings
from services.gisexport.handlers import router

service = Service("gisexport", router=router, settings=ServiceSettings())
app = service.app()
