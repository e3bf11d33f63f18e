"""`terrafusion county new` and `county check`: a county's folder."""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from chassis.counties import county_names, load_users
from chassis.declared_schedules import declared
from chassis.errors import TerraFusionError
from chassis.settings import REPOSITORY, ServiceSettings
from clients.sdk.connection import refuse
from clients.sdk.yaml_places import line_of, repeated_keys
from contracts.county import County
from contracts.mapping import CountyMappings
from contracts.subjects import COUNTY_PATTERN

TEMPLATES = {"pacs": "benton"}
#: what no county has from another: `county check` refuses them until somebody has set them
UNSET = {
    "state": "null  # two letters",
    "epsg": "null  # the code of the CRS that the county's parcels are in",
    "time_zone": "null  # an IANA name, such as America/Los_Angeles",
}
TEMPLATES_DIR = REPOSITORY / "deploy" / "counties"  # whichever folder the counties themselves are in


def county_new(
    name: Annotated[str, typer.Argument(help="Lower case letters, digits and _.")],
    *,
    legacy_system: Annotated[str, typer.Option(help="The legacy system: pacs.")] = "pacs",
) -> None:
    """Scaffold a county: county file, mappings and users, to be edited and checked."""
    settings = ServiceSettings()
    if not re.fullmatch(COUNTY_PATTERN, name):
        refuse(f"{name!r} is no county name: lower case letters, digits and _")
    if legacy_system not in TEMPLATES:
        refuse(f"{legacy_system!r} is no known legacy system: {', '.join(TEMPLATES)}")
    folder = settings.counties_dir / name
    if folder.exists():
        refuse(f"{folder} is there already")
    template = TEMPLATES[legacy_system]
    try:
        for path in sorted((TEMPLATES_DIR / template).rglob("*.*")):
            _copy(path, folder / path.relative_to(TEMPLATES_DIR / template), template, name)
    except OSError as error:
        refuse(f"{folder} cannot be written: {error.strerror}")
    print(f"{folder}: set state, EPSG and time zone in county.yaml; its codes and tables are {template}'s: edit them,")
    print(f"name its users in rbac/{name}_users.json, then `terrafusion county check {name}`")
    print(f"the source database is named by TERRAFUSION_SOURCE_{name.upper()}_PACS_URL")


def _copy(source: Path, target: Path, template: str, name: str) -> None:
    target = target.with_name(target.name.replace(template, name))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".json":
        target.write_text(json.dumps([], indent=2) + "\n")  # another county's users are nobody's here
        return
    text = source.read_text().replace(template, name).replace(template.title(), name.replace("_", " ").title())
    for key, unset in UNSET.items():
        text = re.sub(rf"(?m)^{key}: .*$", f"{key}: {unset}", text)
    target.write_text(text)


def county_check(name: Annotated[str, typer.Argument(help="The county's name.")]) -> None:
    """Validate a county's folder and list every fault with its line."""
    folder = ServiceSettings().counties_dir / name
    if name not in county_names(folder.parent):
        refuse(f"there is no {folder / 'county.yaml'}")
    users = f"rbac/{name}_users.json"
    found = {
        "county.yaml": _yaml_faults(folder / "county.yaml", County),
        "mappings.yaml": _yaml_faults(folder / "mappings.yaml", CountyMappings),
        users: _users_faults(folder.parent, name),
    }
    if not any(found.values()):
        found["schedules"] = _schedule_faults(folder.parent, name)
        found["attributes"] = _attribute_faults(folder)
    for file, faults in found.items():
        if not faults:
            print(f"ok  {file}")
        for fault in faults:
            print(f"{file}{fault}", file=sys.stderr)
    if any(found.values()):
        raise typer.Exit(1)


def _yaml_faults(path: Path, model: type[BaseModel]) -> list[str]:
    """What is wrong with a file, each as `:line: what`."""
    try:
        text = path.read_text()
        repeated = [f":{line}: {key}: stands there twice" for line, key in repeated_keys(text)]
        model.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        return repeated + [_fault(fault, line_of(text, fault["loc"])) for fault in _faults(error)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return [f":{mark.line + 1}: {error.problem or error.context}" if mark else f": {error}"]
    except (ValueError, OSError, yaml.YAMLError) as error:
        return [f": {error}"]
    return repeated


def _users_faults(counties_dir: Path, name: str) -> list[str]:
    try:
        load_users(counties_dir, name)
    except ValidationError as error:
        return [_fault(fault, None) for fault in _faults(error)]
    except (TerraFusionError, ValueError, OSError) as error:
        return [f": {error}"]
    return []


def _schedule_faults(counties_dir: Path, name: str) -> list[str]:
    """What the scheduler will not take: times that never come, parameters that their kind does not know."""
    try:
        declared(counties_dir, name, datetime.now(UTC))
    except TerraFusionError as error:
        told = [f"{fault['field']}: {fault['message']}" for fault in error.details.get("errors", ())]
        return [f": {'; '.join([error.message, *told])}"]
    return []


def _attribute_faults(folder: Path) -> list[str]:
    """Attributes that the county file names and no mapping makes: a misspelt one would be used all the same."""
    said = County.model_validate(yaml.safe_load((folder / "county.yaml").read_text())).valuation
    mappings = CountyMappings.model_validate(yaml.safe_load((folder / "mappings.yaml").read_text()))
    made = {name for pair in mappings.pairs for name in pair.entities.parcel.attributes}
    unknown = sorted({*said.ignore_attributes, *said.use_attributes} - made)
    return [f": valuation names what no mapping makes: {', '.join(map(repr, unknown))}"] if unknown else []


def _faults(error: ValidationError) -> list[ErrorDetails]:
    """What is wrong and where, without the values: a file of users may hold what nobody should read."""
    return error.errors(include_input=False, include_url=False)


def _fault(fault: ErrorDetails, line: int | None) -> str:
    place = f":{line}" if line is not None else ""
    return f"{place}: {'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}"
