"""`docs/mappings.md` explains every key, and its examples are mappings."""

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from chassis.settings import REPOSITORY
from contracts.mapping import CountyMappings
from contracts.quarantine import QuarantineRule

PAGE = (REPOSITORY / "docs" / "mappings.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SCHEMA: dict[str, Any] = CountyMappings.model_json_schema()
#: said together with the model that it is short for
TOLD_ELSEWHERE = {"ShortField": "FieldSource"}
MODELS = {
    "CountyMappings": SCHEMA["properties"],
    **{name: model["properties"] for name, model in SCHEMA["$defs"].items() if "properties" in model},
}


def sections() -> dict[str, str]:
    parts = re.split(r"^### (\w+)\n", PAGE.partition("## Every key")[2].partition("## Steering")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def keys_of(section: str) -> set[str]:
    cells = re.findall(r"^\| (`.*?`) \|", section.partition("| Reader |")[0], re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("model", sorted(set(MODELS) - set(TOLD_ELSEWHERE)))
def test_every_key_is_explained_and_none_that_is_not_there(model: str) -> None:
    assert keys_of(sections()[model]) == set(MODELS[model])


@pytest.mark.parametrize(("short", "told"), TOLD_ELSEWHERE.items())
def test_a_short_form_has_no_key_that_is_told_nowhere(short: str, told: str) -> None:
    assert set(MODELS[short]) <= keys_of(sections()[told]) | keys_of(sections()["FieldMapping"])


def test_every_rule_is_named() -> None:
    assert set(re.findall(r"`(\w+)`", PAGE.partition("\nRules: ")[2].partition("\n\n")[0])) == set(QuarantineRule)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_mapping(text: str) -> None:
    found = yaml.safe_load(text)
    assert CountyMappings.model_validate(found).pairs
    jsonschema.validate(json.loads(json.dumps(found, default=str)), SCHEMA)


def test_there_is_an_example_of_each_kind() -> None:
    connectors = {pair["connector"] for text in EXAMPLES for pair in yaml.safe_load(text)["pairs"]}
    assert connectors >= {"pacs", "sql", "files"}
