"""The ingest service."""

from contracts.events.ingest import INGEST_EVENTS
from services.ingest.handlers import router
from services.ingest.operation.observing import ObservedService
from services.ingest.settings import Settings
from services.ingest.signals import subscribe

service = ObservedService("ingest", router=router, settings=Settings(), publishes=INGEST_EVENTS, subscribe=subscribe)
app = service.app()
