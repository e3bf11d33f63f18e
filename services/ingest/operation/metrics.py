"""What Prometheus is told of following: rows, batches, time of queries, and how far behind each pair and table is."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_OF_TABLE = ["county", "pair", "table"]

ROWS_READ = Counter("terrafusion_sync_rows_read", "rows read from a source", _OF_TABLE)
ROWS_QUARANTINED = Counter("terrafusion_sync_rows_quarantined", "rows held back from the record", _OF_TABLE)
BATCHES = Counter("terrafusion_sync_batches", "batches of rows that were staged", _OF_TABLE)
RUNS_SKIPPED = Counter(
    "terrafusion_sync_runs_skipped", "scheduled runs that were left out", ["county", "pair", "reason"]
)
SOURCE_QUERY_SECONDS = Histogram(
    "terrafusion_source_query_seconds",
    "time that a source took to answer",
    ["county", "pair", "query"],
    buckets=(0.005, 0.025, 0.1, 0.5, 2, 10, 60, 300),
)


class Verified(NamedTuple):
    """Until when a table was followed, and until when it is known to be as its source says."""

    county: str
    pair: str
    table: str
    followed: datetime
    through: datetime | None
    """Null: never; what its reader cannot see may have changed since it was loaded."""


class PairState(NamedTuple):
    """How a pair fares."""

    county: str
    pair: str
    failures: int
    retry_at: datetime | None
    certified: bool | None = None
    """Whether its newest certificate holds; null: it has none."""


class FollowingCollector(Collector):
    """Ages at the moment of the scrape, so that a pair that nobody runs is seen to fall behind."""

    def __init__(self) -> None:
        self.verified: list[Verified] = []
        self.pairs: list[PairState] = []

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Without asking for values."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Lag, blind spots and breakers."""
        now = datetime.now(UTC)
        lag = GaugeMetricFamily(
            "terrafusion_sync_lag_seconds",
            "time since the table of a pair that is furthest behind was followed",
            labels=["county", "pair"],
        )
        blind = GaugeMetricFamily(
            "terrafusion_sync_blind_spot_age_seconds",
            "time since all of a table was compared with its source, beyond what its reader sees",
            labels=_OF_TABLE,
        )
        worst: dict[tuple[str, str], float] = {}
        for county, pair, table, followed, through in self.verified:
            if through is not None:
                blind.add_metric([county, pair, table], max((now - through).total_seconds(), 0.0))
            age = max((now - followed).total_seconds(), 0.0)
            worst[county, pair] = max(worst.get((county, pair), 0.0), age)
        for of_pair, age in worst.items():
            lag.add_metric(list(of_pair), age)
        yield from (lag, blind, *self._breakers(now))

    def _breakers(self, now: datetime) -> Iterator[GaugeMetricFamily]:
        labels = ["county", "pair"]
        failures = GaugeMetricFamily("terrafusion_sync_failures", "failed runs of a pair in a row", labels=labels)
        rests = GaugeMetricFamily("terrafusion_sync_breaker_open", "1: the pair rests after failures", labels=labels)
        holds = GaugeMetricFamily(
            "terrafusion_sync_certificate_holds", "0: a pair's newest certificate does not hold", labels=labels
        )
        for county, pair, count, retry_at, certified in self.pairs:
            failures.add_metric([county, pair], count)
            rests.add_metric([county, pair], float(retry_at is not None and now < retry_at))
            if certified is not None:
                holds.add_metric([county, pair], float(certified))
        yield from (failures, rests, holds)


FOLLOWING = FollowingCollector()
REGISTRY.register(FOLLOWING)
