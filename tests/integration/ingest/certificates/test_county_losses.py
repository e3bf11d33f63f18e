"""Verify on a whole synthetic county that has changed since its load: owners, sales and layers among what is lost."""

import json
import os
from typing import Any

import pytest

from chassis.settings import REPOSITORY
from contracts.mapping import Pair
from services.ingest.mappings import load_pair
from services.ingest.synthetic.county import apply_changes
from tests.support.certificates import assert_noticed, certificate_of, draws_of, verified
from tests.support.planted_losses import KINDS, keep
from tests.support.sync_jobs import SyncBench


def pair_of(bench: SyncBench) -> Pair:
    return load_pair(REPOSITORY / "deploy" / "counties", bench.county, bench.pair)


async def test_a_loaded_county_and_every_change_of_it_are_certified(legacy: Any, bench: SyncBench) -> None:
    loaded = await bench.run("full")
    assert loaded["status"] == "succeeded", loaded["error"]
    first = await certificate_of(bench, loaded["result"]["certificate"])
    assert (first["depth"], first["failing"], first["unproven"]) == ("complete", [], [])
    apply_changes(legacy.url, legacy.truth)
    changed = await bench.run("incremental")
    assert changed["status"] == "succeeded", changed["error"]
    second = await certificate_of(bench, changed["result"]["certificate"])
    assert (second["depth"], second["failing"]) == ("counted", [])
    assert second["tables"]["property_val"]["landed"]["sums"]["market"]
    await keep(bench)


async def test_an_idle_run_needs_no_new_certificate(bench: SyncBench) -> None:
    job = await bench.run("incremental")
    assert (job["result"]["changes"], job["result"]["certificate"]) == (0, None)


async def test_the_untouched_county_holds_to_the_cent_and_shows_nobody(bench: SyncBench) -> None:
    document = await verified(bench)
    assert (document["failing"], document["unproven"], document["record_differences"]) == ([], [], [])
    personal = await bench.fetch("SELECT name FROM ingest.owner WHERE name IS NOT NULL")
    text = json.dumps(document)
    assert personal
    assert all(row["name"] not in text for row in personal)


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_loss_in_a_county_is_noticed(bench: SyncBench, kind: str) -> None:
    await assert_noticed(bench, pair_of(bench), kind, draws=int(os.environ.get("TERRAFUSION_COUNTY_LOSSES", "2")))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_two_hundred_losses_of_each_kind(bench: SyncBench, kind: str) -> None:
    await assert_noticed(bench, pair_of(bench), kind, draws=max(200, draws_of(kind)))
