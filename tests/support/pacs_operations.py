"""What people and the vendor's procedures do in PACS, written from what they leave behind.

Each says how far the change log hears of it: several procedures switch logging off, and one disables the triggers.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import psycopg

from tests.support.pacs_catalogue import SCHEMA, Table, names, quoted
from tests.support.pacs_source import PacsSource

FROZEN_TABLES = ("land_detail", "imprv", "imprv_detail", "imprv_attr")
_POINTERS = {"prop_supp_assoc": "owner_tax_yr", "property_profile": "prop_val_yr"}  # and their columns of the year
_YEARLY_CODES = {"neighborhood": "hood_yr", "abs_subdv": "abs_subdv_yr"}


def create_new_year_layer(source: PacsSource) -> int:
    """Copies the current layer into the next year as its supplement 0 and makes that the appraisal year; unlogged."""
    year = source.appraisal_year
    with source.session("off") as connection:
        for name, column in _YEARLY_CODES.items():
            _copy_rows(connection, source.catalogue[name], {column: str(year + 1)}, where=f"{column} = {year}")
        for table in source.layered:
            changed = {**dict.fromkeys(table.year_columns, str(year + 1)), "sup_num": "0"}
            _copy_rows(connection, table, changed, where=_is_current(table, year))
        profile, pointer = source.catalogue["property_profile"], source.catalogue["prop_supp_assoc"]
        _copy_rows(connection, profile, {"prop_val_yr": str(year + 1), "sup_num": "0"}, where=f"prop_val_yr = {year}")
        _copy_rows(connection, pointer, {"owner_tax_yr": str(year + 1), "sup_num": "0"}, where=f"owner_tax_yr = {year}")
        connection.execute(
            f"INSERT INTO {SCHEMA}.pacs_year (tax_yr) VALUES ({year + 1}) ON CONFLICT DO NOTHING".encode()
        )
        connection.execute(
            f"UPDATE {SCHEMA}.pacs_system SET tax_yr = appr_yr, appr_yr = {year + 1}, future_yr = {year + 2}".encode()
        )
    return year + 1


def create_supplement_group(source: PacsSource) -> int:
    """A pending group with a supplement of the appraisal year; answers the supplement's number."""
    year = source.appraisal_year
    number = 1 + int(
        source.value(f"SELECT coalesce(max(sup_num), 0) FROM {SCHEMA}.property_val WHERE prop_val_yr = {year}")
    )
    group = 1 + int(source.value(f"SELECT coalesce(max(sup_group_id), 0) FROM {SCHEMA}.sup_group"))
    with source.session() as connection:
        connection.execute(
            f"INSERT INTO {SCHEMA}.sup_group (sup_group_id, status_cd, sup_create_dt)"
            f" VALUES ({group}, 'P', {SCHEMA}.getdate())".encode()
        )
        connection.execute(f"INSERT INTO {SCHEMA}.supplement VALUES ({year}, {number}, {group})".encode())
    return number


def accept_supplement(source: PacsSource, number: int) -> None:
    """Accepts the supplement's group."""
    source.execute(
        f"UPDATE {SCHEMA}.sup_group SET status_cd = 'A', sup_accept_dt = {SCHEMA}.getdate() WHERE sup_group_id IN"
        f" (SELECT sup_group_id FROM {SCHEMA}.supplement WHERE sup_num = {number}"
        f" AND sup_tax_yr = (SELECT appr_yr FROM {SCHEMA}.pacs_system))"
    )


def create_property_supplement_layer(source: PacsSource, prop_ids: Sequence[int], number: int) -> None:
    """Copies the properties' current rows to the supplement and moves their pointers to it: a change of key.

    The copying is not logged; the corrections that follow are.
    """
    year, chosen = source.appraisal_year, _listed(prop_ids)
    with source.session("off") as connection:
        for table in source.layered:
            where = f"{_is_current(table, year)} AND prop_id IN ({chosen})"
            _copy_rows(connection, table, {"sup_num": str(number)}, where=where)
        _move_pointer(connection, f"{number}", f"owner_tax_yr = {year} AND prop_id IN ({chosen})")
        connection.execute(
            f"UPDATE {SCHEMA}.property_val SET prev_sup_num = 0, sup_action = 'M', sup_dt = {SCHEMA}.getdate()"
            f" WHERE prop_val_yr = {year} AND sup_num = {number} AND prop_id IN ({chosen})".encode()
        )


def delete_property_supplement_layer(source: PacsSource, prop_ids: Sequence[int], number: int) -> None:
    """Hard-deletes the properties' rows of the supplement; pointers fall back to the highest layer left. Unlogged."""
    year, chosen = source.appraisal_year, _listed(prop_ids)
    with source.session("off") as connection:
        for table in source.layered:
            connection.execute(
                f"DELETE FROM {SCHEMA}.{table.name} WHERE {table.year_columns[0]} = {year}"
                f" AND sup_num = {number} AND prop_id IN ({chosen})".encode()
            )
        left = (
            f"SELECT max(v.sup_num) FROM {SCHEMA}.property_val v WHERE v.prop_val_yr = {year} AND v.prop_id = p.prop_id"
        )
        pointed = f"owner_tax_yr = {year} AND prop_id IN ({chosen})"
        for name, column in _POINTERS.items():
            gone = f"{pointed.replace('owner_tax_yr', column)} AND ({left}) IS NULL"
            connection.execute(f"DELETE FROM {SCHEMA}.{name} p WHERE {gone}".encode())
        _move_pointer(connection, f"({left})", pointed)


def reassign_accounts(source: PacsSource, renamed: Mapping[int, int]) -> None:
    """Gives accounts other ids wherever they stand, with the triggers disabled: neither log nor dates hear of it."""
    columns = {
        "account": "acct_id",
        "address": "acct_id",
        "owner": "owner_id",
        "buyer_assoc": "buyer_id",
        "seller_assoc": "seller_id",
        "wash_prop_owner_val": "owner_id",
        "property_exemption": "owner_id",
    }
    with source.session() as connection:
        for table, column in columns.items():
            connection.execute(f"ALTER TABLE {SCHEMA}.{table} DISABLE TRIGGER USER".encode())
            for old, new in renamed.items():
                connection.execute(f"UPDATE {SCHEMA}.{table} SET {column} = {new} WHERE {column} = {old}".encode())
            connection.execute(f"ALTER TABLE {SCHEMA}.{table} ENABLE TRIGGER USER".encode())


def recalculate(source: PacsSource, prop_ids: Sequence[int] | None = None) -> None:
    """Writes values and buildings again as they are, stamping them, and rebuilds the profiles."""
    year = source.appraisal_year
    chosen = f" AND prop_id IN ({_listed(prop_ids)})" if prop_ids is not None else ""
    with source.session("market") as connection:
        for table, value in (("property_val", "market"), ("land_detail", "land_seg_mkt_val"), ("imprv", "imprv_val")):
            dated = f", recalc_dt = {SCHEMA}.getdate()" if table == "property_val" else ""
            connection.execute(
                f"UPDATE {SCHEMA}.{table} SET {value} = {value}{dated} WHERE prop_val_yr = {year}{chosen}".encode()
            )
        profile = source.catalogue["property_profile"]
        connection.execute(
            f"CREATE TEMP TABLE rebuilt ON COMMIT DROP AS SELECT * FROM {SCHEMA}.property_profile"
            f" WHERE prop_val_yr = {year}{chosen}".encode()
        )
        connection.execute(f"DELETE FROM {SCHEMA}.property_profile WHERE prop_val_yr = {year}{chosen}".encode())
        connection.execute(
            f"INSERT INTO {SCHEMA}.property_profile ({names(profile.written)})"
            f" SELECT {names(profile.written)} FROM rebuilt".encode()
        )


def enter_sale(
    source: PacsSource, prop_ids: Sequence[int], price_usd: int, *, sold: datetime, validity: str = "100"
) -> int:
    """Records a deed and its sale, steps earlier transfers back and freezes the characteristics; answers the id."""
    with source.session() as connection:
        return _write_sale(connection, source, prop_ids, price_usd, sold=sold, validity=validity)


def import_sales(source: PacsSource, sales: Sequence[tuple[int, int, datetime]]) -> list[int]:
    """A mass import of (prop_id, price, date) with logging off, in one transaction."""
    with source.session("off") as connection:
        return [
            _write_sale(connection, source, [prop_id], price_usd, sold=sold, validity="400")
            for prop_id, price_usd, sold in sales
        ]


def make_inactive(source: PacsSource, prop_id: int) -> None:
    """The vendor's soft delete."""
    source.execute(
        f"UPDATE {SCHEMA}.property_val SET prop_inactive_dt = {SCHEMA}.getdate() WHERE prop_id = {prop_id}"
        f" AND prop_val_yr = {source.appraisal_year}"
    )


def change_owner(source: PacsSource, prop_id: int, name: str) -> int:
    """A new account owns the property from now on; answers its id."""
    year = source.appraisal_year
    account = 1 + int(source.value(f"SELECT max(acct_id) FROM {SCHEMA}.account"))
    with source.session() as connection:
        connection.execute(
            f"INSERT INTO {SCHEMA}.account (acct_id, file_as_name) VALUES (%s, %s)".encode(), (account, name)
        )
        owners = f"{SCHEMA}.owner WHERE prop_id = {prop_id} AND owner_tax_yr = {year}"
        sups = connection.execute(f"SELECT DISTINCT sup_num FROM {owners}".encode()).fetchall()
        connection.execute(f"DELETE FROM {owners}".encode())
        for (sup_num,) in sups:
            connection.execute(
                f"INSERT INTO {SCHEMA}.owner (owner_id, owner_tax_yr, prop_id, sup_num, pct_ownership)"
                f" VALUES ({account}, {year}, {prop_id}, {sup_num}, 100)".encode()
            )
    return account


def prune_change_log(source: PacsSource, *, keep: int) -> None:
    """Maintenance throws away all but the newest entries."""
    with source.session() as connection:
        newest = f'(SELECT coalesce(max("lChangeID"), 0) - {keep} FROM {SCHEMA}.change_log)'
        connection.execute(f'DELETE FROM {SCHEMA}.change_log_keys WHERE "lChangeID" <= {newest}'.encode())
        connection.execute(f'DELETE FROM {SCHEMA}.change_log WHERE "lChangeID" <= {newest}'.encode())


def _write_sale(
    connection: psycopg.Connection,
    source: PacsSource,
    prop_ids: Sequence[int],
    price_usd: int,
    *,
    sold: datetime,
    validity: str,
) -> int:
    chosen = _listed(prop_ids)
    row = connection.execute(f"SELECT max(chg_of_owner_id) + 1 FROM {SCHEMA}.chg_of_owner".encode()).fetchone()
    assert row is not None
    number = int(row[0])
    connection.execute(
        f"UPDATE {SCHEMA}.chg_of_owner_prop_assoc SET seq_num = seq_num + 1 WHERE prop_id IN ({chosen})".encode()
    )
    connection.execute(
        f"INSERT INTO {SCHEMA}.chg_of_owner (chg_of_owner_id, deed_type_cd, deed_dt, recorded_dt, consideration)"
        " VALUES (%s, 'SWD', %s, %s, %s)".encode(),
        (number, sold, sold, str(price_usd)),
    )
    for place, prop_id in enumerate(prop_ids):
        connection.execute(
            f"INSERT INTO {SCHEMA}.chg_of_owner_prop_assoc (chg_of_owner_id, prop_id, seq_num, sup_tax_yr,"
            ' "bPrimary") VALUES (%s, %s, 0, %s, %s)'.encode(),
            (number, prop_id, sold.year + 1, place == 0),
        )
    connection.execute(
        f"INSERT INTO {SCHEMA}.sale (chg_of_owner_id, sl_price, adjusted_sl_price, sl_dt, sl_ratio_type_cd,"
        " sl_county_ratio_cd, frozen_characteristics) VALUES (%s, %s, %s, %s, '00', %s, 'T')".encode(),
        (number, price_usd, price_usd, sold, validity),
    )
    year = source.appraisal_year
    for name in FROZEN_TABLES:
        table = source.catalogue[name]
        where = f"{_is_current(table, year)} AND prop_id IN ({chosen})"
        _copy_rows(connection, table, {"sale_id": str(number)}, where=where)
    return number


def _move_pointer(connection: psycopg.Connection, number: str, where: str) -> None:
    for table, year_column in _POINTERS.items():
        chosen = where.replace("owner_tax_yr", year_column)
        connection.execute(f"UPDATE {SCHEMA}.{table} p SET sup_num = {number} WHERE {chosen}".encode())


def _is_current(table: Table, year: int) -> str:
    """The rows that the pointer of the year names, without what was frozen at a sale."""
    live = " AND sale_id = 0" if "sale_id" in table.key else ""
    return (
        f"{table.year_columns[0]} = {year}{live} AND (prop_id, sup_num) IN"
        f" (SELECT prop_id, sup_num FROM {SCHEMA}.prop_supp_assoc WHERE owner_tax_yr = {year})"
    )


def _copy_rows(connection: psycopg.Connection, table: Table, changed: Mapping[str, str], *, where: str) -> None:
    """Inserts the rows again with other values in some columns."""
    values = ", ".join(changed.get(name, quoted(name)) for name in table.written)
    connection.execute(
        f"INSERT INTO {SCHEMA}.{table.name} ({names(table.written)})"
        f" SELECT {values} FROM {SCHEMA}.{table.name} WHERE {where}".encode()
    )


def _listed(prop_ids: Sequence[int]) -> str:
    return ", ".join(str(int(number)) for number in prop_ids)
