"""What people and procedures do in PACS in a week, at random: each is done on some current properties."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from tests.support.pacs_operations import (
    change_owner,
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
from tests.support.pacs_source import PacsSource

_CURRENT = """
SELECT p.prop_id, p.sup_num FROM dbo.prop_supp_assoc p
  JOIN dbo.property_val v ON (v.prop_id, v.prop_val_yr, v.sup_num) = (p.prop_id, p.owner_tax_yr, p.sup_num)
  JOIN dbo.property b ON b.prop_id = p.prop_id AND b.prop_type_cd <> 'P'
 WHERE p.owner_tax_yr = (SELECT appr_yr FROM dbo.pacs_system) AND v.prop_inactive_dt IS NULL ORDER BY p.prop_id
"""
_EDIT = """
UPDATE dbo.property_val SET assessed_val = %s
 WHERE prop_id = ANY(%s) AND prop_val_yr = (SELECT appr_yr FROM dbo.pacs_system)
"""


def work(source: PacsSource, random: Random) -> str:
    """One thing, chosen at random; answers which."""
    current = source.rows(_CURRENT)
    name = random.choice(sorted(_WORK))
    _WORK[name](source, [row["prop_id"] for row in random.sample(current, 3)], random)
    return name


def _supplement(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    create_property_supplement_layer(source, prop_ids, create_supplement_group(source))


def _drop_supplements(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    supplemented = [row for row in source.rows(_CURRENT) if row["sup_num"] > 0]
    for row in random.sample(supplemented, min(2, len(supplemented))):
        delete_property_supplement_layer(source, [row["prop_id"]], row["sup_num"])


def _reassign(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    owners = source.rows("SELECT DISTINCT owner_id FROM dbo.owner WHERE prop_id = ANY(%s)", (list(prop_ids),))
    highest = source.value("SELECT max(acct_id) FROM dbo.account")
    reassign_accounts(source, {row["owner_id"]: highest + place for place, row in enumerate(owners, start=1)})


def _sell(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    enter_sale(source, prop_ids[:2], random.randint(1_000, 900_000), sold=_some_day(random))


def _import(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    import_sales(source, [(prop_id, 100_000, _some_day(random)) for prop_id in prop_ids])


def _edit(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    """Logged or not, and now and then taken back."""
    with source.session(random.choice(("on", "off"))) as connection:
        connection.execute(_EDIT, (random.randint(0, 10**6), list(prop_ids)))
        if random.random() < 0.3:
            connection.rollback()


def _renumber(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    number = str(random.randint(1, 99))
    source.execute("UPDATE dbo.situs SET situs_num = %s WHERE prop_id = ANY(%s)", (number, list(prop_ids)))


def _rename_code(source: PacsSource, prop_ids: Sequence[int], random: Random) -> None:
    source.execute("UPDATE dbo.neighborhood SET hood_name = %s", (f"RENAMED {random.randint(1, 9)}",))


def _some_day(random: Random) -> datetime:
    return datetime(2026, 1, 5) + timedelta(days=random.randint(0, 200))  # noqa: DTZ001  # local, as PACS has it


_WORK: dict[str, Callable[[PacsSource, Sequence[int], Random], object]] = {
    "create a supplement": _supplement,
    "delete supplements": _drop_supplements,
    "reassign accounts": _reassign,
    "recalculate": lambda source, prop_ids, _random: recalculate(source, prop_ids),
    "sell": _sell,
    "import sales": _import,
    "make inactive": lambda source, prop_ids, _random: make_inactive(source, prop_ids[0]),
    "change an owner": lambda source, prop_ids, random: change_owner(source, prop_ids[0], f"O, {random.random()}"),
    "edit values": _edit,
    "renumber": _renumber,
    "rename a code": _rename_code,
    "prune the change log": lambda source, _prop_ids, random: prune_change_log(source, keep=random.randint(0, 5)),
}
