from typing import Any

import pytest
from pydantic import ValidationError

from contracts.api.reporting import AbstractOfValuesArguments, RatioStudyArguments, ReportingParameters


def test_arguments_take_the_model_of_their_report() -> None:
    study = ReportingParameters.model_validate({"report": "ratio_study"})
    abstract = ReportingParameters.model_validate({"report": "abstract_of_values", "format": "xlsx"})
    assert isinstance(study.arguments, RatioStudyArguments)
    assert isinstance(abstract.arguments, AbstractOfValuesArguments)
    assert study.arguments.qualified_only
    assert study.arguments.confidence_level == 0.95


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"report": "tax_bill"}, "report"),
        ({"report": "ratio_study", "format": "docx"}, "format"),
        ({"report": "ratio_study", "arguments": {"colour": "red"}}, "arguments.colour"),
        ({"report": "ratio_study", "arguments": {"confidence_level": 1.0}}, "arguments.confidence_level"),
        ({"report": "ratio_study", "arguments": {"group_by": ["owner"]}}, "arguments.group_by.0"),
        ({"report": "ratio_study", "arguments": {"from_date": "2024-02-01", "to_date": "2024-01-31"}}, "arguments"),
        ({"report": "ratio_study", "arguments": {"run_id": "01890a5d-ac96-774b-bcce-b302099a8057"}}, "arguments"),
        ({"report": "abstract_of_values", "arguments": {"value_source": "assessed"}}, "arguments.value_source"),
        ({"report": "abstract_of_values", "arguments": {"group_by": []}}, "arguments.group_by"),
        ({"report": "ratio_study", "page": 1}, "page"),
    ],
)
def test_a_refusal_names_the_field_and_no_other(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ReportingParameters.model_validate(asked)
    assert {".".join(map(str, error["loc"])) for error in refusal.value.errors()} == {field}


def test_parameters_survive_the_wire() -> None:
    asked = ReportingParameters.model_validate(
        {"report": "ratio_study", "arguments": {"from_date": "2024-01-01", "use_codes": ["11", "12"]}}
    )
    assert ReportingParameters.model_validate_json(asked.model_dump_json()) == asked
