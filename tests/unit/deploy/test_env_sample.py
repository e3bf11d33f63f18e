import re
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from chassis.settings import ServiceSettings
from deploy import new_env
from tests.support.deployment import REPOSITORY, compose_variables, env_sample, settings_classes, variable_of

SAMPLE = REPOSITORY / ".env.sample"
FIELDS = sorted(
    {(variable_of(cls, field), cls, field) for cls in settings_classes() for field in cls.model_fields},
    key=lambda found: (found[0], found[1].__name__),
)
NAMED_ELSEWHERE = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "TEST_TERRAFUSION_OPERATIONAL_DB_URL",
    "TERRAFUSION_GATEWAY_URL",
    "TERRAFUSION_TOKEN",
    "TERRAFUSION_NATS_REPLICAS",
    "TERRAFUSION_FORBID_SKIPS",
}


def code() -> str:
    folders = ("chassis", "clients", "contracts", "migrations", "services")
    return "\n".join(path.read_text() for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def test_the_walk_finds_the_settings_of_services_and_relay() -> None:
    names = {cls.__name__ for cls in settings_classes()}
    assert {"ServiceSettings", "RelaySettings", "GatewaySettings"} <= names


@pytest.mark.parametrize(("variable", "cls", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_every_setting_stands_in_the_sample_with_its_default(
    variable: str, cls: type[BaseSettings], field: str
) -> None:
    assert variable in env_sample()
    value = env_sample()[variable]
    if isinstance(cls.model_fields[field].default, SecretStr):
        return
    if field == "counties_dir":
        value = str(REPOSITORY / value)
    assert getattr(cls(_env_file=None, **{field: value}), field) == cls.model_fields[field].default


def test_every_variable_that_the_code_names_stands_in_the_sample() -> None:
    named = set(re.findall(r"\bTERRAFUSION_[A-Z0-9_]*[A-Z0-9]\b(?![{<])", code()))
    named = {name for name in named if name != "TERRAFUSION_SOURCE" and not name.startswith("TERRAFUSION_SOURCE_")}
    assert "TERRAFUSION_CREDENTIALS_FILE" in named
    assert (named | NAMED_ELSEWHERE) - env_sample().keys() == set()


def test_source_urls_are_shown_for_every_pair_of_a_shipped_county() -> None:
    pairs = re.findall(
        r"- pair: (\w+)", "".join(path.read_text() for path in REPOSITORY.glob("deploy/counties/*/*.yaml"))
    )
    assert pairs
    assert {f"TERRAFUSION_SOURCE_{pair.upper()}_URL" for pair in pairs} <= env_sample().keys()


def test_every_variable_of_the_compose_file_stands_in_the_sample() -> None:
    assert compose_variables()
    assert compose_variables() - env_sample().keys() == set()


def test_each_variable_has_one_comment_line_of_its_own() -> None:
    lines = SAMPLE.read_text().splitlines()
    variables = [number for number, line in enumerate(lines) if re.match(r"^#?[A-Z][A-Z0-9_]*=", line)]
    assert len(variables) == len(env_sample())  # none stands there twice
    for number in variables:
        assert lines[number - 1].startswith("# "), lines[number]


def test_the_sample_holds_no_secret() -> None:
    active = [line for line in SAMPLE.read_text().splitlines() if re.match(r"^[A-Z]", line)]
    assert active
    assert all(line.endswith(f"={new_env.PLACE}") for line in active)


def test_a_new_env_has_a_different_secret_in_each_place_and_is_private(tmp_path: Path) -> None:
    (tmp_path / ".env.sample").write_text(SAMPLE.read_text())
    new_env.main(tmp_path)
    made = tmp_path / ".env"
    values = [line.partition("=")[2] for line in made.read_text().splitlines() if re.match(r"^[A-Z]", line)]
    assert len(set(values)) == len(values) == SAMPLE.read_text().count(f"={new_env.PLACE}\n")
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{40,}", value) for value in values)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert ServiceSettings(_env_file=made).secret_key.get_secret_value() in values


def test_an_env_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".env.sample").write_text(SAMPLE.read_text())
    (tmp_path / ".env").write_text("NATS_PASSWORD=known\n")
    with pytest.raises(SystemExit, match="exists"):
        new_env.main(tmp_path)
    assert (tmp_path / ".env").read_text() == "NATS_PASSWORD=known\n"
