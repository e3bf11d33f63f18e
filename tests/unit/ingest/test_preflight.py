from dataclasses import replace

import pytest

from contracts.mapping import Pair
from services.ingest.domain.preflight import differences, warnings
from services.ingest.sources.source import Catalog, ColumnFacts, SourceFacts, TableFacts
from tests.support.source_protocol import odd_pair

KINDS = {
    "text": ColumnFacts("varchar", 50),
    "integer": ColumnFacts("int"),
    "decimal": ColumnFacts("numeric", None, 14, 2),
    "boolean": ColumnFacts("bit"),
    "date": ColumnFacts("date"),
    "timestamp": ColumnFacts("datetime"),
    "geometry": ColumnFacts("varbinary"),
}


def catalog(of: Pair) -> Catalog:
    return {
        t.name: {name: replace(KINDS[kind], is_nullable=name not in t.key) for name, kind in t.columns.items()}
        for t in of.tables
    }


@pytest.mark.parametrize(
    ("column", "there", "fits"),
    [
        ("market", ColumnFacts("money"), True),
        ("market", ColumnFacts("nvarchar", 5), True),
        ("market", ColumnFacts("bit"), False),
        ("market", ColumnFacts("datetime"), False),
        ("market", ColumnFacts("sql_variant"), False),
        ("market", ColumnFacts("hierarchyid"), False),
        ("sup_num", ColumnFacts("numeric", None, 4, 0), True),
        ("sup_num", ColumnFacts("numeric", None, 14, 2), False),
        ("sup_num", ColumnFacts("interval"), False),  # "int" is the beginning of more than numbers
        ("sup_num", ColumnFacts("point"), False),
        ("sup_num", ColumnFacts("float"), False),
    ],
)
def test_a_type_fits_or_stops_the_run(column: str, there: ColumnFacts, *, fits: bool) -> None:
    found = catalog(odd_pair())
    found["layers"][column] = there
    told = [(d.code, d.table, d.column) for d in differences(odd_pair(), found)]
    assert told == ([] if fits else [("mapping_type_differs", "layers", column)])


@pytest.mark.parametrize("there", [ColumnFacts("datetimeoffset"), ColumnFacts("timestamp with time zone")])
def test_a_time_with_a_zone_is_not_taken_for_a_local_one(there: ColumnFacts) -> None:
    found = catalog(odd_pair())
    found["moments"]["fine"] = there
    assert [d.column for d in differences(odd_pair(), found)] == ["fine"]


def test_a_code_may_be_wider_or_narrower_than_anybody_thought() -> None:
    found = catalog(odd_pair())
    found["padded"]["code"] = ColumnFacts("char", 32, is_nullable=False)
    found["words"]["word"] = ColumnFacts("nvarchar", None, is_nullable=False)
    assert differences(odd_pair(), found) == []


def test_a_marker_that_is_not_there_stops_the_run() -> None:
    pair = odd_pair()
    tables = tuple(t.model_copy(update={"changed_column": "chg_dt"} if t.name == "words" else {}) for t in pair.tables)
    found = differences(pair.model_copy(update={"tables": tables}), catalog(pair))
    assert [(d.code, d.column) for d in found] == [("mapping_column_missing", "chg_dt")]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (TableFacts(primary_key=("prop_val_yr", "sup_num", "prop_id")), set()),
        (TableFacts(unique_keys=(("prop_val_yr", "prop_id"),)), {"mapping_key_not_indexed"}),
        (TableFacts(primary_key=("prop_id", "sup_num", "prop_val_yr")), {"mapping_key_not_indexed"}),
        (TableFacts(indexes=(("prop_val_yr", "sup_num", "prop_id", "x"),)), {"mapping_key_not_unique"}),
        (TableFacts(unique_keys=(("prop_val_yr", "sup_num", "prop_id", "sale_id"),)), {"mapping_key_not_unique"}),
        (TableFacts(), {"mapping_key_not_unique", "mapping_key_not_indexed"}),
    ],
)
def test_a_key_that_the_source_does_not_keep_is_warned_of(facts: TableFacts, told: set[str]) -> None:
    found = warnings(odd_pair(), catalog(odd_pair()), SourceFacts("any", "1", tables={"layers": facts}))
    assert {w.code for w in found if w.table == "layers"} == told


def test_a_key_that_may_be_null_is_warned_of() -> None:
    found = catalog(odd_pair())
    found["layers"]["sup_num"] = ColumnFacts("int", is_nullable=True)
    there = {"layers": TableFacts(primary_key=("prop_val_yr", "sup_num", "prop_id"))}
    told = warnings(odd_pair(), found, SourceFacts("any", "1", tables=there))
    assert [(w.code, w.column) for w in told] == [("mapping_key_nullable", "sup_num")]
