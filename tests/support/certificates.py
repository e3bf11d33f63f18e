"""Certificates in tests: asked for, checked, and asked again after every planted loss."""

import os
import random
from typing import Any

from chassis.signing import is_signed
from contracts.mapping import Pair
from tests.support.planted_losses import Losses, give_back
from tests.support.seeds import seed_of_this_run
from tests.support.sync_jobs import SyncBench

#: the losses that every certificate is measured by are drawn more often
MEASURES = {"dropped_row", "flipped_sign", "swapped_values", "duplicated_pair", "null_for_empty"}


def draws_of(kind: str) -> int:
    """How many losses of a kind are planted: `TERRAFUSION_LOSSES` says it for all."""
    return int(os.environ.get("TERRAFUSION_LOSSES", "20" if kind in MEASURES else "4"))


async def verified(bench: SyncBench) -> dict[str, Any]:
    """The document of a certificate that is asked for now; it is kept and signed as it has to be."""
    await bench.forget()
    job = await bench.run("verify")
    assert job["status"] == "succeeded", job["error"]
    return await certificate_of(bench, job["result"])


async def certificate_of(bench: SyncBench, result: dict[str, Any]) -> dict[str, Any]:
    """The document of the certificate that a job made."""
    (row,) = await bench.fetch("SELECT * FROM ingest.certificate WHERE id = $1", result["certificate_id"])
    document: dict[str, Any] = row["document"]
    assert row["holds"] == result["holds"] == document["holds"] == (not document["failing"])
    assert (document["id"], document["county"]) == (str(row["id"]), row["county"])
    if document["public_key"] is not None:
        assert is_signed(document, row["signature"], public_key=document["public_key"])
    return document


async def assert_noticed(bench: SyncBench, pair: Pair, kind: str, *, draws: int) -> None:
    """After each of so many losses the certificate is red; everything is given back after each."""
    chosen = random.Random(seed := seed_of_this_run("TERRAFUSION_SEED", kind))
    planted = tried = 0
    while planted < draws:
        tried += 1
        assert tried < 10 * draws + 20, f"{kind} found nothing to be done to"
        what = await Losses(bench, pair, chosen).plant(kind)
        if what is None:
            continue
        planted += 1
        try:
            document = await verified(bench)
        finally:
            await give_back(bench)
        assert not document["holds"], f"{what} was not noticed (seed {seed})"
