import json
from typing import Any

from services.ingest.synthetic.shape import create_keys, create_table, read_shape
from tests.support.shared_data import shared_data


def test_the_checked_in_shape_is_that_of_the_real_tables() -> None:
    facts: dict[str, Any] = json.loads(shared_data("../research/pacs_tables.json").read_text(encoding="utf-8"))
    shape = dict(read_shape())
    shape.pop("parcelsandassess")  # the county's GIS database has it, PACS does not
    assert len(shape) == 25
    for name, table in shape.items():
        real = facts[name]
        assert list(table.key) == real["pk"], name
        assert [list(names) for names in table.unique] == real["unique"], name
        assert table.has_rowversion == real["has_rowversion"], name
        ours = [(column.name, column.type + column.size, column.nullable) for column in table.columns]
        assert ours == [(c["name"], c["type"], c["nullable"]) for c in real["columns"]], name


def test_definitions_keep_padding_scale_and_the_missing_time_zone() -> None:
    shape = read_shape()
    values = create_table(shape["property_val"])
    assert "market numeric(14)," in values
    assert "prop_inactive_dt timestamp(3) without time zone," in values
    assert '"tsRowVersion" bytea NOT NULL' in values
    assert "imprv_val numeric(14) GENERATED ALWAYS AS" in values
    assert "prop_type_cd char(5) NOT NULL" in create_table(shape["property"])
    assert '"bPrimary" boolean' in create_table(shape["chg_of_owner_prop_assoc"])


def test_keys_are_those_of_the_shape() -> None:
    keys = create_keys(read_shape()["prop_supp_assoc"])
    assert keys == [
        "ALTER TABLE dbo.prop_supp_assoc ADD PRIMARY KEY (owner_tax_yr, sup_num, prop_id)",
        "ALTER TABLE dbo.prop_supp_assoc ADD UNIQUE (owner_tax_yr, prop_id)",
    ]
