"""`terrafusion demo`: the main job end to end, on a synthetic county or on a folder of real files."""

# Numerical libraries and servers take long to import: commands import them when they run.
# ruff: noqa: PLC0415

import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from clients.sdk.client import TerraFusion
from contracts.api.jobs import Job

if TYPE_CHECKING:
    from clients.sdk.demo_source import DemoSource, Fact
    from clients.sdk.platform import Platform

TREND_TOLERANCE_POINTS = 0.25
console = Console(highlight=False)


@dataclass
class Demo:
    """One run of the demonstration."""

    platform: "Platform"
    source: "DemoSource"
    client: TerraFusion
    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Every step of the main job; what does not hold is collected in `failures`."""
        self.summary["county"] = self.source.county
        self._synchronize()
        self._value()
        self._study_market()
        self._report()
        self._export()

    def _synchronize(self) -> None:
        full = self._job("sync", {"pair": self.source.pair, "mode": "full"})
        counts = ("rows_read", "rows_applied", "rows_quarantined", "seconds")
        self.summary["sync"] = {"full": {name: full[name] for name in counts}}
        self._check_quarantine()
        position = asyncio.run(last_fact(self.platform.nats_url))
        expected = self.source.change()
        changed = self._job("sync", {"pair": self.source.pair, "mode": "incremental"})
        told = ("changes", "events", "facts", "seconds")
        self.summary["sync"]["incremental"] = {name: changed[name] for name in told}
        found = asyncio.run(
            facts_since(self.platform.nats_url, self.source.county, position, count=int(changed["facts"]))
        )
        self._compare("the incremental run's facts", expected, found)
        self.summary["source"] = {
            "reader": changed["reader"],
            "parcels": changed["parcels"],
            "sales": changed["sales"],
        }

    def _check_quarantine(self) -> None:
        planted = self.source.expected_quarantine()
        if planted is not None:
            found = asyncio.run(quarantined(self.platform.database_url, self.source.county))
            self._compare("the quarantined rows", planted, found)

    def _value(self) -> None:
        result = self._job("valuation", {"scope": {"all": True}})
        holdout = {name: result["holdout"][name] for name in ("median_ratio", "cod", "prd", "prb")}
        self.summary["valuation"] = {"parcels_valued": result["parcels_valued"], **holdout}

    def _study_market(self) -> None:
        result = self._job("market", {})
        trend = result["monthly_trend_percent"]
        self.summary["market"] = {"months": result["months"], "monthly_trend_percent": trend}
        planted = self.source.planted_trend_percent()
        if planted is not None and abs(trend - planted) > TREND_TOLERANCE_POINTS:
            self.failures.append(f"the market study found {trend} % a month, planted were {planted} %")

    def _report(self) -> None:
        parameters = {"report": "ratio_study", "format": "pdf", "arguments": self.source.study}
        job = self._ask("reporting", parameters)
        path = self._save(job)
        result = job.result or {}
        self.summary["report"] = {"path": str(path), "pages": result["pages"]}
        self.summary["ratio_study"] = {name: result[name] for name in ("n", "median_ratio", "cod", "prd", "prb", "mki")}

    def _export(self) -> None:
        job = self._ask("gis_export", {"layer": "parcels", "format": "gpkg"})
        path = self._save(job)
        result = job.result or {}
        self.summary["gis_export"] = {
            "path": str(path),
            "features": result["features"],
            "format": result["format"],
        }

    def _job(self, kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._ask(kind, parameters).result or {}

    def _ask(self, kind: str, parameters: dict[str, Any]) -> Job:
        with console.status(f"{kind} …") as status:
            job = self.client.run(kind, self.source.county, parameters)
            job = self.client.wait(
                job,
                on_progress=lambda j: status.update(f"{kind} {j.progress.done}/{j.progress.total} {j.progress.unit}"),
            )
        seconds = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else 0.0
        console.print(f"  {kind:<11} {job.status}  {seconds:6.2f} s")
        return job

    def _save(self, job: Job) -> Path:
        """Download the job's main artifact."""
        artifact = job.artifacts[0]
        return self.client.download(job, artifact.name, self.folder / artifact.name)

    def _compare(self, what: str, expected: list[Any], found: list[Any]) -> None:
        missing, surplus = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
        if missing or surplus:
            self.failures.append(f"{what}: missing {sorted(missing.elements())}, surplus {sorted(surplus.elements())}")


def demo_command(
    *,
    data: Annotated[
        Path | None, typer.Option(help="A folder of real county files instead of a synthetic county.")
    ] = None,
    folder: Annotated[Path, typer.Option("--var", help="Where the demonstration keeps its files.")] = Path("var/demo"),
    parcels: Annotated[int, typer.Option(min=500, help="Parcels of the synthetic county.")] = 3000,
) -> None:
    """Synchronise, value, study, report and export a county, and check what came of it."""
    from chassis.embedded.errors import EmbeddedServerError
    from clients.sdk.client import GatewayError, JobFailedError
    from clients.sdk.platform import PlatformError

    started = time.monotonic()
    try:
        demo = run_demo(data, folder, parcels)
    except (PlatformError, EmbeddedServerError, GatewayError, JobFailedError, OSError) as error:
        console.print(f"[red]terrafusion demo:[/red] {error}")
        sys.exit(1)
    path = folder / "summary.json"
    path.write_text(json.dumps(demo.summary, indent=2) + "\n")
    console.print_json(data=demo.summary)
    for failure in demo.failures:
        console.print(f"[red]not as it should be:[/red] {failure}")
    console.print(f"written to {path} after {time.monotonic() - started:.0f} s")
    sys.exit(1 if demo.failures else 0)


def run_demo(data: Path | None, folder: Path, parcels: int) -> Demo:
    """A platform of its own in a fresh folder, one run on it, and nothing left running."""
    from chassis.outbox import new_id
    from clients.sdk.demo_source import FolderSource, SyntheticSource
    from clients.sdk.platform import Platform

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trace_id = new_id().hex
    with Platform(folder / "platform") as platform:
        source: DemoSource
        source = FolderSource(data, folder / "source") if data else SyntheticSource(platform, parcels=parcels)
        console.print(f"preparing {source.county} …")
        platform.start_services(source.prepare())
        headers = {"traceparent": f"00-{trace_id}-{trace_id[:16]}-01"}
        with TerraFusion(platform.gateway_url, headers=headers) as client:
            demo = Demo(platform, source, client.login(**platform.credentials()), folder)
            demo.run()
    demo.summary["trace_id"] = trace_id
    return demo


async def last_fact(nats_url: str) -> int:
    """The newest position of the stream of facts."""
    from chassis.bus import connect

    client = await connect(nats_url, name="demo")
    try:
        return (await client.jetstream().stream_info("FACTS")).state.last_seq
    finally:
        await client.close()


async def facts_since(nats_url: str, county: str, position: int, *, count: int) -> list["Fact"]:
    """The (type, id) of every canonical fact of a county after a position: at least `count`, then to the end."""
    from nats.js.api import ConsumerConfig, DeliverPolicy

    from chassis.bus import connect

    client = await connect(nats_url, name="demo")
    facts: list[Fact] = []
    try:
        subscription = await client.jetstream().subscribe(
            ">",
            stream="FACTS",
            ordered_consumer=True,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=position + 1,
                filter_subjects=[f"{family}.*.{county}" for family in ("parcel", "sale", "owner")],
            ),
        )
        async with asyncio.timeout(30):
            while len(facts) < count:
                facts.append(to_fact(await subscription.next_msg(timeout=30)))
        while (await subscription.consumer_info()).num_pending:
            facts.append(to_fact(await subscription.next_msg(timeout=5)))
    finally:
        await client.close()
    return facts


def to_fact(message: Any) -> "Fact":
    """What an event says: its type and what it is about."""
    return message.headers["ce-type"], message.headers["ce-subject"]


async def quarantined(database_url: str, county: str) -> list[tuple[str, str]]:
    """The (table, rule) of every row in quarantine."""
    import asyncpg

    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SELECT set_config('terrafusion.county', $1, false)", county)
        rows = await connection.fetch("SELECT source_table, rule FROM ingest.quarantine_v1 WHERE county = $1", county)
    finally:
        await connection.close()
    return [(row["source_table"], row["rule"]) for row in rows]


__all__ = ["Job", "demo_command"]
