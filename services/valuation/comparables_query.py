"""Answers `query.valuation.comparables.<county>`: the adjustment grid of one parcel, at once."""

import asyncio
from collections import OrderedDict
from typing import Any

from faststream.nats import NatsMessage

from chassis.counties import load_county
from chassis.errors import NotFoundError, PermanentError
from chassis.service import Service
from contracts.api.valuation import ComparablesAnswer, ComparablesQuery, ValuationScope
from services.valuation import queries
from services.valuation.domain.comparables import fit_comparables
from services.valuation.domain.documents import characteristics, comparable_sales
from services.valuation.domain.evidence import Groundwork, learn_groundwork, learnable_sales
from services.valuation.domain.mass import refusal_reasons
from services.valuation.domain.properties import Properties, properties
from services.valuation.evidence import Evidence, coded_refusals, read_evidence, use_codes

SUBJECT = "query.valuation.comparables.*"
KEPT_GROUNDWORKS = 8


class ComparablesDesk:
    """Keeps the groundwork of the counties asked about, until their sales or parcels change."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.learning = asyncio.Lock()
        self.groundworks: OrderedDict[tuple[Any, ...], Groundwork] = OrderedDict()

    async def answer(self, query: ComparablesQuery, message: NatsMessage) -> ComparablesAnswer:
        """The adjustment grid; the chassis makes problems of refusals and of what is no query."""
        with coded_refusals():
            return await self._answer(message.raw_message.subject.rpartition(".")[2], query)

    async def _answer(self, county: str, query: ComparablesQuery) -> ComparablesAnswer:
        county_file = load_county(self.service.settings.counties_dir, county)
        async with self.service.database.read(county) as connection:
            scope = ValuationScope(parcel_ids=[query.parcel_id])
            subject = properties(
                await queries.read_parcels(connection, county, scope), use_codes=use_codes(county_file)
            )
            if not len(subject):
                raise NotFoundError("parcel_unknown", f"there is no active parcel {query.parcel_id!r}")
            freshness = await queries.read_freshness(connection, county)
            kind = str(subject.kind[0])
            key = (county, kind, query.valuation_date, freshness)
            groundwork = self.groundworks.get(key)
            evidence = None
            if groundwork is None:
                evidence = await read_evidence(connection, county_file, valuation_date=query.valuation_date)
        _refuse_unfit(subject)
        if evidence is not None:
            groundwork = await self._learn(key, evidence, kind)
        assert groundwork is not None
        return await asyncio.to_thread(_grid_of, groundwork, subject, query)

    async def _learn(self, key: tuple[Any, ...], evidence: Evidence, kind: str) -> Groundwork:
        """Learn once for everyone who waits for the same; forget the oldest."""
        async with self.learning:
            if key not in self.groundworks:
                self.groundworks[key] = await asyncio.to_thread(_learn, evidence, kind)
                while len(self.groundworks) > KEPT_GROUNDWORKS:
                    self.groundworks.popitem(last=False)
            return self.groundworks[key]


def subscribe(service: Service) -> None:
    """Hear the queries of every county; of several workers one answers."""
    desk = ComparablesDesk(service)
    service.broker.subscriber(
        SUBJECT,
        queue="valuation",
        title="comparables of a parcel",
        description="ComparablesQuery in, ComparablesAnswer or a problem {code, detail} in reply",
    )(desk.answer)


def _refuse_unfit(subject: Properties) -> None:
    reason = refusal_reasons(subject, [str(subject.kind[0])])[0]
    if reason:
        raise PermanentError(reason, f"parcel {subject.parcel_id[0]} has no comparables: {reason}")


def _learn(evidence: Evidence, kind: str) -> Groundwork:
    of_kind = evidence.sold.take(evidence.sold.properties.kind == kind)
    sales, _ = learnable_sales(of_kind, evidence.valuation_date)
    return learn_groundwork(sales)


def _grid_of(groundwork: Groundwork, subject: Properties, query: ComparablesQuery) -> ComparablesAnswer:
    found = fit_comparables(groundwork, query.comparables)
    grid = found.grid(subject)
    return ComparablesAnswer(
        parcel_id=str(subject.parcel_id[0]),
        kind=subject.kind[0],
        valuation_date=groundwork.sales.valuation_date,
        indicated_value_usd=float(grid.indicated_usd[0]),
        sales_used=len(groundwork.sales),
        characteristics=characteristics(subject, 0),
        comparables=[
            {**comparable, "characteristics": characteristics(found.sales.properties, int(grid.row[0, at]))}
            for at, comparable in enumerate(comparable_sales(found, subject, grid)[0])
        ],
    )
