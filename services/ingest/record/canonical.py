"""The canonical record, renewed out of landed rows: batch by batch, whatever the size of the county."""

from dataclasses import replace

from chassis.database import UnitOfWork
from contracts.county import County
from services.ingest.domain.envelopes import Run
from services.ingest.record import contributing, touched
from services.ingest.record.renewal import Renewal, Renewed

__all__ = ["Renewal", "Renewed", "renew"]


async def renew(
    unit: UnitOfWork, run: Run, *, is_whole: bool, county_file: County, tells: bool = True, batch_parcels: int = 2_000
) -> Renewed:
    """Brings the record to what is landed: of everything, or of what the run touched.

    Call it after the run's rows are merged. `tells` is false where there is no record before to differ from. Of a
    contributing pair the primary one's parcels are renewed; nothing of a parallel pair becomes part of the record.
    """
    together = run.pair.together
    if run.pair.role == "parallel":
        return Renewed(0, 0)
    if together.contributing:
        await contributing.wait_for_others(unit.connection, run.county)
    if run.pair.role == "contributing":
        return await contributing.contribute(unit, run, county_file, is_whole=is_whole, batch_rows=batch_parcels)
    renewal = Renewal(unit, run, county_file, tells=tells, batch_rows=batch_parcels)
    try:
        renewed = await renewal.work(is_whole=is_whole)
    finally:
        if not unit.connection.is_closed() and not renewal.has_failed:
            await touched.finish(unit.connection)
    unmatched = [await contributing.hold_unmatched(unit, pair, run) for pair in together.contributing]
    return replace(renewed, unmatched=sum(unmatched))
