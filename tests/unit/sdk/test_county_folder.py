"""`terrafusion county new` and `county check`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.sdk.cli import app

runner = CliRunner()


@pytest.fixture
def counties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TERRAFUSION_COUNTIES_DIR", str(tmp_path))
    assert runner.invoke(app, ["county", "new", "yakima"]).exit_code == 0
    return tmp_path


def test_a_county_is_scaffolded_in_a_folder_of_counties_that_was_empty(counties: Path) -> None:
    assert {path.name for path in (counties / "yakima").rglob("*.*")} == {
        "county.yaml",
        "mappings.yaml",
        "yakima_users.json",
    }


def test_a_scaffold_is_refused_until_state_crs_and_time_zone_are_set(counties: Path) -> None:
    outcome = runner.invoke(app, ["county", "check", "yakima"])
    assert outcome.exit_code == 1
    path = counties / "yakima" / "county.yaml"
    lines = {line.partition(":")[0]: number for number, line in enumerate(path.read_text().splitlines(), start=1)}
    assert all(f"county.yaml:{lines[key]}: {key}: " in outcome.stderr for key in ("state", "epsg", "time_zone"))
    filled = path.read_text().replace("state: null", "state: WA").replace("epsg: null", "epsg: 2927")
    path.write_text(filled.replace("time_zone: null", "time_zone: America/Los_Angeles"))
    assert runner.invoke(app, ["county", "check", "yakima"]).exit_code == 0


@pytest.mark.parametrize("name", ["../evil", "Upper", "yakima\n", "y", ""])
def test_a_name_that_is_none_is_refused(counties: Path, name: str) -> None:
    assert runner.invoke(app, ["county", "new", name]).exit_code == 1
    assert [path.name for path in counties.iterdir()] == ["yakima"]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("county.yaml", "name: [\n", "county.yaml:2: expected the node content"),
        ("county.yaml", "", "county.yaml: "),
        ("mappings.yaml", "pairs: 1\n", "mappings.yaml:1: pairs: "),
        ("mappings.yaml", "# a comment\npairs: []\npair: []\n", "mappings.yaml:3: pair: Extra inputs"),
        ("mappings.yaml", "pairs: []\npairs: []\n", "mappings.yaml:2: pairs: stands there twice"),
        ("mappings.yaml", "\tpairs: []\n", "mappings.yaml:1: found character"),
        ("mappings.yaml", "pairs: &a [*b]\n", "mappings.yaml:1: found undefined alias"),
        ("rbac/yakima_users.json", "{", "rbac/yakima_users.json: "),
    ],
)
def test_a_fault_is_named_with_its_file(counties: Path, file: str, text: str, told: str) -> None:
    (counties / "yakima" / file).write_text(text)
    outcome = runner.invoke(app, ["county", "check", "yakima"])
    assert outcome.exit_code == 1
    assert isinstance(outcome.exception, SystemExit)
    assert told in outcome.stderr


def test_a_password_in_a_users_file_is_refused_and_not_shown(counties: Path) -> None:
    users = counties / "yakima" / "rbac" / "yakima_users.json"
    users.write_text('[{"username": "a", "roles": ["assessor"], "password": "hunter2hunter2"}]')
    outcome = runner.invoke(app, ["county", "check", "yakima"])
    assert outcome.exit_code == 1
    assert "0.password" in outcome.stderr
    assert "hunter2" not in outcome.output


@pytest.mark.parametrize(
    ("before", "after", "told", "at"),
    [
        ("{prop_id: integer, prop_type_cd", "{prop_id: intege, prop_type_cd", "columns.prop_id: Input", "intege,"),
        ("parcel_number_missing", "parcel_number", "checks.0.rule: ", "{rule: parcel_number,"),
        ("links: {neighborhood: hood_cd", "links: {hood: hood_cd", "links.hood", "links: {hood:"),
        ("    scope: property\n", "    scope: property\n    skope: property\n", "skope: Extra", "    skope: "),
        ("key: [hood_cd, hood_yr]", "key: [hood_cd, hood]", "does not declare the columns ['hood']", "- name: neighb"),
        ("        years: 2\n", "        years: 2\n        years: 3\n", "years: stands there twice", "years: 3"),
    ],
)
def test_a_fault_deep_in_a_mapping_is_named_with_its_line(
    counties: Path, before: str, after: str, told: str, at: str
) -> None:
    path = counties / "yakima" / "mappings.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))
    outcome = runner.invoke(app, ["county", "check", "yakima"])
    assert outcome.exit_code == 1
    [fault] = [line for line in outcome.stderr.splitlines() if told in line]
    assert at in path.read_text().splitlines()[int(fault.split(":")[1]) - 1]


def filled(path: Path) -> str:
    """The file with what no template says."""
    text = path.read_text().replace("state: null", "state: WA").replace("epsg: null", "epsg: 2927")
    return text.replace("time_zone: null", "time_zone: America/Los_Angeles")


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("{name: study, kind: market, cron: '61 * * * *'}", "schedules: '61 * * * *' is no cron expression"),
        ("{name: study, kind: market, cron: '0 3 * * *', parameters: {from: x}}", "schedules: the parameters of study"),
        ("{name: study, kind: market}", "either cron or every_seconds"),
    ],
)
def test_a_schedule_that_would_not_be_kept_is_refused(counties: Path, schedule: str, told: str) -> None:
    path = counties / "yakima" / "county.yaml"
    path.write_text(f"{filled(path).partition('schedules:')[0]}schedules: [{schedule}]\n")
    outcome = runner.invoke(app, ["county", "check", "yakima"])
    assert outcome.exit_code == 1
    assert told in outcome.stderr


@pytest.mark.parametrize(
    ("named", "told"),
    [("[heating, heeting]", "attributes: valuation names what no mapping makes: 'heeting'"), ("[heating]", "")],
)
def test_an_attribute_that_no_mapping_makes_is_told(counties: Path, named: str, told: str) -> None:
    path = counties / "yakima" / "county.yaml"
    path.write_text(f"{filled(path)}\nvaluation: {{ignore_attributes: {named}}}\n")
    outcome = runner.invoke(app, ["county", "check", "yakima"])
    assert (outcome.exit_code, outcome.stderr.strip()) == (1 if told else 0, told)
