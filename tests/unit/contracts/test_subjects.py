"""The subject grammar: what is built can be taken apart again, and a county's permission never leaks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.subjects import (
    COUNTY_PATTERN,
    JobFact,
    JobKind,
    change_subject,
    county_of,
    dead_letter_subject,
    event_type,
    fact_subject,
    job_subject,
    subject_token,
)

counties = st.from_regex(COUNTY_PATTERN, fullmatch=True).filter(lambda name: not name.endswith("\n"))
names = st.text(min_size=1, max_size=40)
words = st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True)
TOKEN = re.compile(r"[A-Za-z0-9_-]+")


@given(st.sampled_from(JobKind), st.sampled_from(JobFact), counties)
def test_a_jobs_subject_ends_with_its_county(kind: JobKind, fact: JobFact, county: str) -> None:
    subject = job_subject(kind, fact, county)
    assert subject.split(".") == ["job", kind.value, fact.value, county]
    assert county_of(subject) == county
    assert event_type(subject) == f"job.{kind.value}.{fact.value}"


@given(counties, names, names, names)
def test_a_changes_subject_has_its_county_second_whatever_the_source_is_called(
    county: str, pair: str, schema: str, table: str
) -> None:
    subject = change_subject(county, pair, schema, table)
    tokens = subject.split(".")
    assert tokens[:2] == ["cdc", county]
    assert len(tokens) == 5
    assert all(TOKEN.fullmatch(token) for token in tokens)
    assert county_of(subject) == county
    assert event_type(subject) == ".".join(["cdc", *tokens[2:]])


@given(words, words, counties)
def test_a_facts_subject_ends_with_its_county(family: str, fact: str, county: str) -> None:
    subject = fact_subject(family, fact, county)
    assert county_of(subject) == county
    assert event_type(subject) == f"{family}.{fact}"


@given(words, counties)
def test_a_dead_letters_subject_ends_with_its_county(service: str, county: str) -> None:
    assert dead_letter_subject(service, county) == f"dlq.{service}.{county}"
    assert county_of(dead_letter_subject(service, county)) == county


@given(st.text(max_size=40))
def test_a_token_never_holds_what_a_subject_may_not(name: str) -> None:
    assert TOKEN.fullmatch(subject_token(name))


def test_a_token_keeps_what_a_subject_may_hold() -> None:
    assert subject_token("property_val-2024") == "property_val-2024"
    assert subject_token("dbo.property val>*") == "dbo_property_val__"


@pytest.mark.parametrize(("kind", "route"), [(JobKind.GIS_EXPORT, "gis-export"), (JobKind.SYNC, "sync")])
def test_kinds_are_hyphenated_in_routes(kind: JobKind, route: str) -> None:
    assert kind.route == route
