"""Hears `sync.completed.<county>`: lays every synchronisation beside what was posted, until all of it has come back."""

from datetime import UTC, datetime, timedelta

from faststream.nats import JStream, NatsMessage, PullSub

from chassis.bus import FACTS_STREAM
from chassis.service import Service
from contracts.events.ingest import SyncCompleted
from contracts.events.valuation import ValuationRollChecked
from services.valuation import decision_queries

DURABLE = "valuation_posting_checks"
LONGEST = timedelta(
    days=180
)  # an import that has not come by then is told of by the last check, and asked for by route


class CheckingDesk:
    """Counts what came back, once for each synchronisation."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def hear(self, completed: SyncCompleted, message: NatsMessage) -> None:
        """Check the postings that wait for this pair."""
        county = completed.county
        async with self.service.database.begin(county) as unit:
            event_id = str((message.headers or {}).get("ce-id") or completed.operation_id)
            if not await unit.first_delivery(consumer=DURABLE, event_id=event_id):
                return
            postings = await decision_queries.open_postings(
                unit.connection, county, pair=completed.pair, has_parcels=completed.parcels > 0, longest=LONGEST
            )
            sequence = await decision_queries.read_sequence(unit.connection, county, completed.operation_id)
            for posting in postings:
                found = await decision_queries.check_posting(
                    unit.connection, county, posting["id"], operation_id=completed.operation_id, sequence=sequence
                )
                if found is not None:
                    await unit.publish(
                        ValuationRollChecked(
                            county=county,
                            occurred_at=datetime.now(UTC),
                            tax_year=posting["tax_year"],
                            job_id=posting["id"],
                            run_id=posting["run_id"],
                            posting_id=posting["id"],
                            operation_id=completed.operation_id,
                            pair=completed.pair,
                            **dict(found),
                        )
                    )


def subscribe(service: Service) -> None:
    """Hear what was synchronised; each by one worker."""
    service.broker.subscriber(
        "sync.completed.*",
        stream=JStream(FACTS_STREAM, declare=False),
        durable=DURABLE,
        pull_sub=PullSub(batch_size=1, timeout=5),
        no_reply=True,
        title="synchronised",
        description="lays what a synchronisation brought back beside what was posted",
    )(CheckingDesk(service).hear)
