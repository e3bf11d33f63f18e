"""Lines by names of a county's own read as one would say them."""

import pytest

from services.valuation.domain.explanation import WORDS, explain, in_words


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("carport_area_sqft", "carport area"),
        ("GrossArea", "gross area"),
        ("gradeADA", "grade ADA"),
        ("front_footage_ft", "front footage"),
        ("time (of the record)", "time (of the record)"),
        ("sqft", "sqft"),
        ("  ", "another characteristic"),
        ("year2Built", "year2 built"),
    ],
)
def test_words_stand_apart_and_units_are_left_out(name: str, said: str) -> None:
    assert in_words(name) == said


def test_an_attribute_is_a_sentence_like_the_others() -> None:
    told = explain({"base": 200_000.0, "garage_area_sqft": 9_000.0, "carport_area_sqft": -1_500.0}, 207_500.0)
    assert told.sentences[1:] == [
        f"The {WORDS['garage_area_sqft'].removeprefix('the ')} adds $9,000.",
        "Carport area takes $1,500 away.",
        "Together this makes $207,500.",
    ]
