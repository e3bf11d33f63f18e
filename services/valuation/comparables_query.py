"""Answers `query.valuation.comparables.<county>`: the adjustment grid of one parcel, at once."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
from faststream.nats import NatsMessage

from chassis.counties import load_county
from chassis.errors import NotFoundError, PermanentError
from chassis.service import Service
from contracts.api.valuation import ComparablesAnswer, ComparablesQuery, ExplainedValue, ValuationScope
from contracts.county import County
from services.valuation import queries
from services.valuation.domain.attributes import NO_ATTRIBUTES, Attributes
from services.valuation.domain.comparables import Comparables, fit_comparables
from services.valuation.domain.contributions import itemise
from services.valuation.domain.documents import characteristics, comparable_sales
from services.valuation.domain.equity_comparables import EquityRoll, learn_equity_roll
from services.valuation.domain.evidence import learn_groundwork, learnable_sales
from services.valuation.domain.exclusions import exclusions
from services.valuation.domain.explanation import explain
from services.valuation.domain.mass import refusal_reasons
from services.valuation.domain.properties import Properties, properties
from services.valuation.evidence import Evidence, coded_refusals, read_evidence, use_codes

SUBJECT = "query.valuation.comparables.*"
KEPT_GROUNDWORKS = 8
USUAL_COUNT = 5


@dataclass(frozen=True)
class _Learned:
    """What was learned of one kind of property in a county, and by which attributes beside the fixed columns."""

    candidates: Comparables
    roll: EquityRoll | None
    attributes: Attributes


@dataclass(frozen=True)
class _Material:
    """What is to be learned from for one kind of property in a county."""

    evidence: Evidence
    kind: str
    emphasis: dict[str, float]
    parcels: pl.DataFrame
    county: County


class ComparablesDesk:
    """Keeps what was learned of the counties asked about, until their sales or parcels change."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.learning = asyncio.Lock()
        self.groundworks: OrderedDict[tuple[Any, ...], _Learned] = OrderedDict()

    async def answer(self, query: ComparablesQuery, message: NatsMessage) -> ComparablesAnswer:
        """The adjustment grid; the chassis makes problems of refusals and of what is no query."""
        with coded_refusals():
            return await self._answer(message.raw_message.subject.rpartition(".")[2], query)

    async def _answer(self, county: str, query: ComparablesQuery) -> ComparablesAnswer:
        county_file = load_county(self.service.settings.counties_dir, county)
        async with self.service.database.read(county) as connection:
            scope = ValuationScope(parcel_ids=[query.parcel_id])
            plain = _described(await queries.read_parcels(connection, county, scope), NO_ATTRIBUTES, county_file)
            if not len(plain):
                raise NotFoundError("parcel_unknown", f"there is no active parcel {query.parcel_id!r}")
            freshness = await queries.read_freshness(connection, county)
            kind = str(plain.kind[0])
            emphasis = county_file.comparables.by_aspect
            said = county_file.model_dump_json(include={"comparables", "valuation"})
            key = (county, kind, query.valuation_date, freshness, said)
            learned, material = self.groundworks.get(key), None
            if learned is None:
                evidence = await read_evidence(connection, county_file, valuation_date=query.valuation_date)
                parcels = await queries.read_parcels(connection, county, ValuationScope(all=True), evidence.attributes)
                material = _Material(evidence, kind, emphasis, parcels, county_file)
            used = learned.attributes if learned else evidence.attributes
            subject = _described(await queries.read_parcels(connection, county, scope, used), used, county_file)
            valued = await queries.read_latest_value(connection, county, query.parcel_id)
        _refuse_unfit(subject)
        if material is not None:
            learned = await self._learn(key, material)
        assert learned is not None
        found = await asyncio.to_thread(_grid_of, learned, subject, query)
        return found.model_copy(update={"latest": _explained(**valued) if valued else None})

    async def _learn(self, key: tuple[Any, ...], material: "_Material") -> _Learned:
        """Learn once for everyone who waits for the same; forget the oldest."""
        async with self.learning:
            if key not in self.groundworks:
                self.groundworks[key] = await asyncio.to_thread(_learn, material)
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


def _described(parcels: pl.DataFrame, attributes: Attributes, county: County) -> Properties:
    return attributes.onto(properties(parcels, use_codes=use_codes(county)), parcels)


def _learn(material: _Material) -> _Learned:
    evidence = material.evidence
    of_kind = evidence.sold.take(evidence.sold.properties.kind == material.kind)
    sales, _ = learnable_sales(of_kind, evidence.valuation_date)
    groundwork = learn_groundwork(sales, emphasis=material.emphasis)
    parcels = _described(material.parcels, evidence.attributes, material.county)
    usable = (parcels.kind == material.kind) & (refusal_reasons(parcels, [material.kind]) == "")
    assessed_usd = material.parcels["total_value_usd"].fill_null(float("nan")).to_numpy()
    found = fit_comparables(groundwork, USUAL_COUNT)
    roll = learn_equity_roll(groundwork, parcels.take(usable), assessed_usd[usable])
    return _Learned(found, roll, evidence.attributes)


def _explained(value_usd: float, contributions: dict[str, float], run_id: UUID | None = None) -> ExplainedValue:
    sentences = explain(contributions, value_usd).sentences
    return ExplainedValue(run_id=run_id, value_usd=value_usd, contributions=contributions, sentences=sentences)


def _grid_of(learned: _Learned, subject: Properties, query: ComparablesQuery) -> ComparablesAnswer:
    candidates, roll = learned.candidates, learned.roll
    found, groundwork = replace(candidates, count=query.comparables), candidates.groundwork
    grid = found.grid(subject)
    beside = comparable_sales(found, subject, grid)[0]
    itemised = itemise(groundwork, {"comparables": found}, np.ones(1), subject, grid.indicated_usd)
    return ComparablesAnswer(
        parcel_id=str(subject.parcel_id[0]),
        kind=subject.kind[0],
        valuation_date=groundwork.sales.valuation_date,
        indicated_value_usd=float(grid.indicated_usd[0]),
        sales_used=len(groundwork.sales),
        characteristics=characteristics(subject, 0),
        comparables=[
            {**comparable, "characteristics": characteristics(found.sales.properties, int(grid.row[0, at]))}
            for at, comparable in enumerate(beside)
        ],
        excluded=exclusions(found, subject, {comparable["sale_id"] for comparable in beside}),
        equity=roll.compare(subject, query.comparables) if roll else None,
        indicated=_explained(float(grid.indicated_usd[0]), itemised.documents()[0]),
        emphasis=dict(groundwork.emphasis),
    )
