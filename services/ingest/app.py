"""The ingest service."""

from chassis.service import Service
from contracts.events.ingest import INGEST_EVENTS
from services.ingest.handlers import router
from services.ingest.settings import Settings
from services.ingest.signals import subscribe

service = Service("ingest", router=router, settings=Settings(), publishes=INGEST_EVENTS, subscribe=subscribe)
app = service.app()
