from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from contracts.mapping import CountyMappings, Pair
from services.ingest.domain.preflight import differences
from services.ingest.sources.source import Catalog, ColumnFacts
from tests.support.mappings import COUNTIES
from tests.support.mappings import county_pair as pair


def catalog(of: Pair) -> Catalog:
    kinds = {
        "text": "character varying",
        "decimal": "numeric",
        "timestamp": "timestamp without time zone",
        "geometry": "bytea",
    }
    return {t.name: {name: ColumnFacts(kinds.get(kind, kind)) for name, kind in t.columns.items()} for t in of.tables}


def test_a_source_that_has_everything_differs_in_nothing() -> None:
    assert differences(pair(), catalog(pair())) == []


def test_every_difference_is_named() -> None:
    there = catalog(pair())
    del there["imprv"], there["sale"]["sl_price"], there["situs"]["situs_city"]
    there["property_val"]["market"] = ColumnFacts("uuid")
    found = {(d.code, d.table, d.column) for d in differences(pair(), there)}
    assert found == {
        ("mapping_table_missing", "imprv", None),
        ("mapping_column_missing", "sale", "sl_price"),
        ("mapping_column_missing", "situs", "situs_city"),
        ("mapping_type_differs", "property_val", "market"),
    }


def test_no_county_reads_licence_or_social_security_numbers() -> None:
    forbidden = {"dl_num", "dl_state", "email_addr", "birth_dt", "prop_exmpt_ss_num", "prop_exmpt_dl_num"}
    for path in COUNTIES.glob("*/mappings.yaml"):
        for found in CountyMappings.model_validate(yaml.safe_load(path.read_text())).pairs:
            assert not [t.name for t in found.tables if forbidden & set(t.columns)]


def test_names_and_addresses_of_owners_are_declared_personal() -> None:
    tables = pair("benton").table_by_name
    owner = pair("benton").entities.owner
    assert owner is not None
    sources = [s for name in ("name", "mailing_address") for s in owner.fields[name].sources]  # type: ignore[index]
    assert all(source.name in tables[source.table].personal for source in sources)


@pytest.mark.parametrize("attribute", ["account.file_as_name", {"column": "account.file_as_name", "where": {}}])
def test_a_personal_column_never_becomes_an_attribute(attribute: Any) -> None:
    document = pair("benton").model_dump(mode="json")
    assert "contact" not in Pair.model_validate(document).entities.parcel.attributes
    document["entities"]["parcel"]["attributes"]["contact"] = attribute
    with pytest.raises(ValidationError, match=r"personal columns.*contact"):
        Pair.model_validate(document)


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"scope": "no_such_table"},
        {"working_year": {}},
        {"working_year": {"column": "pacs_system.no_such_column"}},
        {"entities": {"parcel": {"root": "property", "fields": {"use_code": "property.no_such_column"}}}},
        {"entities": {"parcel": {"root": "property", "fields": {"no_such_field": "property.geo_id"}}}},
        {"tables": [{"name": "t", "key": ["id"], "columns": {"x": "integer"}}]},
        {"tables": [{"name": "t", "key": ["x"], "columns": {"x": "money"}}]},
        {"connector": "files"},
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    sound = pair().model_dump(mode="json")
    Pair.model_validate(sound)
    with pytest.raises(ValidationError):
        Pair.model_validate({**sound, **change})


def test_a_check_names_one_test() -> None:
    broken = pair().model_dump(mode="json")
    broken["tables"][3]["checks"][0]["minimum"] = 1
    with pytest.raises(ValidationError, match="names 2 tests"):
        Pair.model_validate(broken)
