"""`terrafusion county new` and `county check`: a county's folder."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chassis.counties import county_names, load_county, load_users, read_yaml
from chassis.errors import TerraFusionError
from chassis.settings import ServiceSettings
from clients.sdk.connection import refuse
from contracts.mapping import CountyMappings
from contracts.subjects import COUNTY_PATTERN

TEMPLATES = {"pacs": "benton"}


def county_new(
    name: Annotated[str, typer.Argument(help="Lower case letters, digits and _.")],
    *,
    legacy_system: Annotated[str, typer.Option(help="The legacy system: pacs.")] = "pacs",
) -> None:
    """Scaffold a county: county file, mappings and users, to be edited and checked."""
    settings = ServiceSettings()
    if not re.match(COUNTY_PATTERN, name):
        refuse(f"{name!r} is no county name: lower case letters, digits and _")
    if legacy_system not in TEMPLATES:
        refuse(f"{legacy_system!r} is no known legacy system: {', '.join(TEMPLATES)}")
    folder = settings.counties_dir / name
    if folder.exists():
        refuse(f"{folder} is there already")
    template = TEMPLATES[legacy_system]
    for path in sorted((settings.counties_dir / template).rglob("*.*")):
        _copy(path, folder / path.relative_to(settings.counties_dir / template), template, name)
    print(f"{folder}: edit county.yaml (EPSG, time zone, codes), then `terrafusion county check {name}`")
    print(f"the source database is named by TERRAFUSION_SOURCE_{name.upper()}_PACS_URL")


def _copy(source: Path, target: Path, template: str, name: str) -> None:
    target = target.with_name(target.name.replace(template, name))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".json":
        target.write_text(json.dumps([], indent=2) + "\n")  # another county's users are nobody's here
        return
    text = source.read_text()
    target.write_text(text.replace(template, name).replace(template.title(), name.replace("_", " ").title()))


def county_check(name: Annotated[str, typer.Argument(help="The county's name.")]) -> None:
    """Validate a county's folder and list every fault."""
    settings = ServiceSettings()
    faults: list[str] = []
    if name not in county_names(settings.counties_dir):
        refuse(f"there is no {settings.counties_dir / name / 'county.yaml'}")
    checks: dict[str, Callable[[], object]] = {
        "county.yaml": lambda: load_county(settings.counties_dir, name),
        "mappings.yaml": lambda: CountyMappings.model_validate(
            read_yaml(settings.counties_dir / name / "mappings.yaml")
        ),
        f"rbac/{name}_users.json": lambda: load_users(settings.counties_dir, name),
    }
    for file, check in checks.items():
        try:
            check()
        except (TerraFusionError, ValueError, OSError) as error:
            faults.append(f"{file}: {error}")
        else:
            print(f"ok  {file}")
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        raise typer.Exit(1)
