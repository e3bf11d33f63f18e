"""The files of deploy/ and compose.yaml as tests read them."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import yaml
from pydantic_settings import BaseSettings

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
_SAMPLE_LINE = re.compile(r"^#?([A-Z][A-Z0-9_]*)=(.*)$")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    return loaded


def compose_variables() -> set[str]:
    """Every variable that Compose puts into the file."""
    return set(_VARIABLE.findall((REPOSITORY / "compose.yaml").read_text()))


def env_sample() -> dict[str, str]:
    """Variables of .env.sample with their values, those that are commented out too."""
    lines = (REPOSITORY / ".env.sample").read_text().splitlines()
    return {found[1]: found[2] for line in lines if (found := _SAMPLE_LINE.match(line))}


@cache
def settings_classes() -> tuple[type[BaseSettings], ...]:
    """Every settings class of the chassis and the services."""
    for module in _settings_modules():
        import_module(module)
    return tuple(cls for cls in _subclasses(BaseSettings) if cls.__module__.startswith(("chassis.", "services.")))


def _settings_modules() -> Iterator[str]:
    yield from (found.name for found in walk_packages([str(REPOSITORY / "chassis")], "chassis."))
    for file in REPOSITORY.glob("services/*/settings.py"):
        yield f"services.{file.parent.name}.settings"


def _subclasses(cls: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def variable_of(cls: type[BaseSettings], field: str) -> str:
    """The environment variable that a setting is read from."""
    return f"{cls.model_config['env_prefix']}{field}".upper()


def known_settings() -> set[str]:
    return {variable_of(cls, field) for cls in settings_classes() for field in cls.model_fields}
