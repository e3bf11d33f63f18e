"""A PACS of a few parcels, as rows that a test changes."""

import random
from typing import Any

Tables = dict[str, list[dict[str, Any]]]


def small_pacs(parcels: int = 7, *, year: int = 2026) -> Tables:
    """Parcels with an owner each, some sales, a house and a polygon's worth of nothing."""
    ids = range(1, parcels + 1)
    return {
        "pacs_system": [{"id": 1, "appr_yr": year, "tax_yr": year - 1}],
        "neighborhood": [{"hood_cd": "A", "hood_yr": year, "hood_name": "Alder"}],
        "property": [{"prop_id": p, "prop_type_cd": "R", "geo_id": f"1-{p}"} for p in ids],
        "prop_supp_assoc": [{"prop_id": p, "owner_tax_yr": year, "sup_num": 0} for p in ids],
        "property_val": [
            {"prop_id": p, "prop_val_yr": year, "sup_num": 0, "assessed_val": 1000 * p, "hood_cd": "A"} for p in ids
        ],
        "owner": [
            {"prop_id": p, "owner_tax_yr": year, "sup_num": 0, "owner_id": p % 3, "pct_ownership": 100} for p in ids
        ],
        "account": [{"acct_id": a, "file_as_name": f'NAME "{a}", THE'} for a in range(3)],
        "address": [
            {"acct_id": a, "addr_type_cd": "M", "primary_addr": "Y", "addr_line1": f"PO BOX {a}"} for a in range(3)
        ],
        "situs": [
            {"prop_id": p, "situs_id": 1, "primary_situs": "Y", "situs_num": str(p), "situs_street": "HOP"} for p in ids
        ],
        "chg_of_owner_prop_assoc": [{"chg_of_owner_id": s, "prop_id": s + 1} for s in range(parcels)]
        + [{"chg_of_owner_id": 0, "prop_id": 2}],
        "chg_of_owner": [{"chg_of_owner_id": s, "deed_type_cd": "SWD"} for s in range(parcels)],
        "sale": [
            {"chg_of_owner_id": s, "sl_price": 5000 + s, "sl_dt": f"2025-0{s % 9 + 1}-01"} for s in range(parcels)
        ],
    }


def mutate(tables: Tables, chance: random.Random) -> Tables:
    """One edit of the kinds that a source sees: a changed value, a row gone, a row back, a tie moved."""
    found = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    name = chance.choice(["property_val", "owner", "account", "address", "sale", "chg_of_owner_prop_assoc", "situs"])
    rows = found[name]
    kind = chance.choice(["value", "value", "drop", "tie"])
    if kind == "drop" and len(rows) > 1:
        rows.pop(chance.randrange(len(rows)))
        return found
    row = chance.choice(rows)
    values = {
        "property_val": {"assessed_val": chance.randrange(9_999)},
        "owner": {"pct_ownership": chance.randrange(101)},
        "account": {"file_as_name": f"N{chance.randrange(99)}"},
        "address": {"addr_line1": chance.choice(["PO BOX 9", "", None])},
        "sale": {"sl_price": chance.randrange(1, 9_999), "sl_dt": f"2025-01-{chance.randrange(10, 28)}"},
        "situs": {"situs_num": chance.randrange(99)},
        "chg_of_owner_prop_assoc": {"prop_id": chance.randrange(1, 8)},
    }
    row.update(values[name])
    if kind == "tie" and name == "owner":
        row["owner_id"] = chance.randrange(3)
    keys = {"chg_of_owner_prop_assoc": ("chg_of_owner_id", "prop_id"), "owner": ("prop_id", "owner_id")}
    if name in keys:
        unique = {tuple(r[column] for column in keys[name]): r for r in rows}
        found[name] = list(unique.values())
    return found
