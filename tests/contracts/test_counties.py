import pytest

from chassis.counties import county_names, load_county, load_users, read_yaml
from chassis.settings import REPOSITORY
from contracts.mapping import CountyMappings

COUNTIES = REPOSITORY / "deploy" / "counties"
NAMES = sorted(path.name for path in COUNTIES.iterdir() if path.is_dir())
each_county = pytest.mark.parametrize("name", NAMES)


def test_every_folder_is_a_county() -> None:
    assert county_names(COUNTIES) == NAMES


@each_county
def test_a_county_file_loads(name: str) -> None:
    assert load_county(COUNTIES, name).county == name


@each_county
def test_a_users_file_loads_and_names_an_administrator(name: str) -> None:
    users = load_users(COUNTIES, name)
    assert any("county_admin" in user.roles for user in users)
    assert len({user.username for user in users}) == len(users)


@each_county
def test_mappings_load(name: str) -> None:
    mappings = CountyMappings.model_validate(read_yaml(COUNTIES / name / "mappings.yaml"))
    assert mappings.pairs
    assert all(pair.entities.parcel.fields for pair in mappings.pairs)
