"""What PACS changes without a trace: layers copied, moved and deleted, and accounts renamed, with logging off."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from tests.support import servers
from tests.support.pacs_operations import (
    accept_supplement,
    change_owner,
    create_new_year_layer,
    create_property_supplement_layer,
    create_supplement_group,
    delete_property_supplement_layer,
    enter_sale,
    import_sales,
    make_inactive,
    prune_change_log,
    reassign_accounts,
    recalculate,
)
from tests.support.pacs_record import assert_record_equals
from tests.support.pacs_source import PacsSource, pacs_source, reader_login
from tests.support.pair_benches import county_files, pair_bench
from tests.support.sync_jobs import SyncBench

COUNTY, PAIR = "benton", "benton_pacs"
SOLD = datetime(2026, 5, 4)  # noqa: DTZ001  # as the source writes local time


@dataclass
class Followed:
    """A source, and a record that follows it."""

    source: PacsSource
    bench: SyncBench
    prop_ids: list[int]

    async def follow(self) -> dict[str, Any]:
        """An incremental run; afterwards the record is what the source says."""
        await self.bench.forget()
        job = await self.bench.run("incremental")
        assert job["status"] == "succeeded", job["error"]
        await assert_record_equals(self.bench, self.source)
        result: dict[str, Any] = job["result"]
        return result

    async def said(self) -> Counter[tuple[str, str]]:
        """The facts of the last run: kind and object."""
        facts = await self.bench.said()
        return Counter((subject.rsplit(".", 1)[0], str(_object(body))) for subject, body in facts)

    def take(self, count: int) -> list[int]:
        """Properties that no other test changes."""
        taken, self.prop_ids = self.prop_ids[:count], self.prop_ids[count:]
        return taken

    def logged(self) -> int:
        return int(self.source.value("SELECT count(*) FROM dbo.change_log"))


def _object(body: dict[str, Any]) -> Any:
    return body.get("sale_id") or body.get("parcel_id") or body.get("operation_id")


def _facts(kind: str, ids: list[int]) -> Counter[tuple[str, str]]:
    return Counter((kind, str(number)) for number in ids)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["hash_diff", "auto"])
async def followed(
    request: pytest.FixtureRequest,
    postgres: servers.DatabaseServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Followed]:
    """The county's own mapping, once as it stands and once with readers chosen by the probe."""

    def choose(pair: dict[str, Any]) -> None:
        pair["reader"] = request.param
        pair["following"] = {"mass_change_rows": 100}

    counties = county_files(tmp_path_factory.mktemp("counties"), COUNTY, choose)
    with (
        servers.database(postgres, template=migrated_template) as (_, database_url),
        pacs_source(postgres, parcels=300, seed=5) as source,
        reader_login(source.url) as login,
    ):
        houses = source.rows(
            "SELECT DISTINCT v.prop_id FROM dbo.property_val v JOIN dbo.imprv i USING (prop_id, prop_val_yr, sup_num)"
            " WHERE prop_val_yr = 2026 AND sup_num = 0 AND sale_id = 0 AND prop_inactive_dt IS NULL"
            " AND prop_id NOT IN (SELECT prop_id FROM dbo.property_val WHERE sup_num > 0 OR prop_val_yr = 0)"
            " ORDER BY prop_id"
        )
        folder = tmp_path_factory.mktemp("storage")
        async with pair_bench(
            database_url, county=COUNTY, pair=PAIR, source_url=login, folder=folder, counties_dir=counties
        ) as bench:
            followed = Followed(source, bench, [row["prop_id"] for row in houses])
            await followed.follow()
            yield followed


async def test_the_record_is_the_current_layer(followed: Followed) -> None:
    assert (await followed.follow())["changes"] == 0
    assert await followed.said() == Counter()
    supplements = await followed.bench.fetch("SELECT DISTINCT supplement FROM ingest.parcel_v1")
    assert {row["supplement"] for row in supplements} == {0, 1, 2}


async def test_a_supplement_is_one_fact_for_each_pointer_that_moved(followed: Followed) -> None:
    moved, number = followed.take(3), create_supplement_group(followed.source)
    logged = followed.logged()
    create_property_supplement_layer(followed.source, moved, number)
    assert followed.logged() == logged
    followed.source.execute(
        "UPDATE dbo.property_val SET land_hstd_val = land_hstd_val + 1000, market = market + 1000,"
        " assessed_val = assessed_val + 1000 WHERE prop_val_yr = 2026 AND sup_num = %s",
        (number,),
    )
    await followed.follow()
    assert await followed.said() == _facts("parcel.changed", moved)


async def test_a_supplement_is_told_as_the_move_of_its_pointer_and_once_more_when_it_is_official(
    followed: Followed,
) -> None:
    moved, number = followed.take(2), create_supplement_group(followed.source)
    create_property_supplement_layer(followed.source, moved, number)
    await followed.follow()
    assert await followed.said() == _facts("parcel.changed", moved)
    assert {body["layer"] for _, body in await followed.bench.said()} == {"working"}
    accept_supplement(followed.source, number)
    await followed.follow()
    assert await followed.said() == _facts("parcel.changed", moved)
    told = [(body["layer"], body["supplement"]) for _, body in await followed.bench.said()]
    assert told == [("official", number)] * len(moved)


async def test_a_deleted_supplement_falls_back_to_the_layer_below(followed: Followed) -> None:
    moved, number = followed.take(2), create_supplement_group(followed.source)
    before = await followed.bench.fetch(
        "SELECT parcel_id, supplement, total_value_usd FROM ingest.parcel_v1 WHERE parcel_id = ANY($1) ORDER BY 1",
        [str(prop_id) for prop_id in moved],
    )
    create_property_supplement_layer(followed.source, moved, number)
    followed.source.execute(
        "UPDATE dbo.property_val SET assessed_val = 7 WHERE prop_val_yr = 2026 AND sup_num = %s", (number,)
    )
    await followed.follow()
    logged = followed.logged()
    delete_property_supplement_layer(followed.source, moved, number)
    assert followed.logged() == logged
    await followed.follow()
    assert await followed.said() == _facts("parcel.changed", moved)
    after = await followed.bench.fetch(
        "SELECT parcel_id, supplement, total_value_usd FROM ingest.parcel_v1 WHERE parcel_id = ANY($1) ORDER BY 1",
        [str(prop_id) for prop_id in moved],
    )
    assert after == before


async def test_a_property_whose_only_layer_is_deleted_is_removed(followed: Followed) -> None:
    gone = followed.take(1)
    delete_property_supplement_layer(followed.source, gone, 0)
    await followed.follow()
    assert await followed.said() == _facts("parcel.removed", gone)


async def test_a_recalculation_that_writes_equal_values_says_nothing(followed: Followed) -> None:
    stamp = 'SELECT max("tsRowVersion") FROM dbo.property_val'
    before = followed.source.value(stamp)
    recalculate(followed.source)
    assert followed.source.value(stamp) > before
    assert (await followed.follow())["changes"] == 0
    assert await followed.said() == Counter()


async def test_accounts_reassigned_with_triggers_off_change_owners(followed: Followed) -> None:
    owned = followed.take(2)
    accounts = followed.source.rows(
        "SELECT DISTINCT owner_id FROM dbo.owner WHERE prop_id = ANY(%s) AND owner_tax_yr = 2026", (owned,)
    )
    renamed = {row["owner_id"]: row["owner_id"] + 5_000_000 for row in accounts}
    changed = followed.source.rows(
        "SELECT DISTINCT o.prop_id FROM dbo.owner o JOIN dbo.prop_supp_assoc p"
        " ON (p.prop_id, p.owner_tax_yr, p.sup_num) = (o.prop_id, o.owner_tax_yr, o.sup_num)"
        " JOIN dbo.property b ON b.prop_id = o.prop_id AND b.prop_type_cd <> 'P'"
        " WHERE o.owner_tax_yr = 2026 AND owner_id = ANY(%s)",
        (list(renamed),),
    )
    logged, stamp = followed.logged(), followed.source.value('SELECT max("tsRowVersion") FROM dbo.property_val')
    reassign_accounts(followed.source, renamed)
    assert followed.logged() == logged
    assert followed.source.value('SELECT max("tsRowVersion") FROM dbo.property_val') == stamp
    await followed.follow()
    assert await followed.said() == _facts("owner.changed", [row["prop_id"] for row in changed])


async def test_a_sale_with_frozen_characteristics_is_one_fact(followed: Followed) -> None:
    sold = followed.take(2)
    number = enter_sale(followed.source, sold, 333_000, sold=SOLD)
    frozen = followed.source.value("SELECT count(*) FROM dbo.imprv_detail WHERE sale_id = %s", (number,))
    assert frozen > 0
    await followed.follow()
    assert await followed.said() == _facts("sale.recorded", [number])


async def test_sales_imported_with_logging_off_are_found(followed: Followed) -> None:
    logged = followed.logged()
    numbers = import_sales(followed.source, [(prop_id, 250_000, SOLD) for prop_id in followed.take(3)])
    assert followed.logged() == logged
    await followed.follow()
    assert await followed.said() == _facts("sale.recorded", numbers)


async def test_a_soft_delete_and_a_new_owner_are_a_fact_each(followed: Followed) -> None:
    (inactive,), (bought,) = followed.take(1), followed.take(1)
    make_inactive(followed.source, inactive)
    change_owner(followed.source, bought, "NEWOWNER, NORA")
    await followed.follow()
    assert await followed.said() == _facts("parcel.removed", [inactive]) + _facts("owner.changed", [bought])


async def test_what_a_replica_writes_and_the_log_forgets_is_found(followed: Followed) -> None:
    (changed,), logged = followed.take(1), followed.logged()
    with followed.source.session() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE dbo.situs SET situs_zip = '99999' WHERE prop_id = %s", (changed,))
    assert followed.logged() == logged
    prune_change_log(followed.source, keep=0)
    assert followed.logged() == 0
    await followed.follow()
    assert await followed.said() == _facts("parcel.changed", [changed])


async def test_a_year_roll_is_one_batch_event(followed: Followed) -> None:
    logged = followed.logged()
    year = create_new_year_layer(followed.source)
    assert followed.logged() == logged
    await followed.follow()
    said = [subject for subject, _ in await followed.bench.said()]
    assert said == [f"parcel.batch_changed.{COUNTY}"]
    years = await followed.bench.fetch("SELECT tax_year, count(*) FROM ingest.parcel_v1 GROUP BY 1")
    real = followed.source.value("SELECT count(*) FROM dbo.property WHERE prop_type_cd <> 'P'")
    assert [tuple(row.values()) for row in years if row["tax_year"] == year] == [(year, real - 1)]


async def test_the_new_year_is_followed_as_the_old_one_was(followed: Followed) -> None:
    assert (await followed.follow())["changes"] == 0
    moved, number = followed.take(2), create_supplement_group(followed.source)
    create_property_supplement_layer(followed.source, moved, number)
    await followed.follow()
    assert await followed.said() == _facts("parcel.changed", moved)
