import re
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from chassis import telemetry
from clients.sdk.platform import SERVICES
from services.ingest.operation import metrics as following
from tests.support.deployment import DEPLOY

FUNCTIONS = {"increase", "rate", "sum", "max", "histogram_quantile", "absent", "by", "without", "and", "or", "on"}
MADE_BY_PROMETHEUS = {"up"}
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def known_metrics() -> dict[str, set[str]]:
    """Names that the metrics of the chassis and of ingest have in a scrape, with their labels."""
    found = {family.name: set(family._labelnames) for family in following.FOLLOWING.collect()}
    for value in (*vars(telemetry).values(), *vars(following).values()):
        for metric in value.values() if isinstance(value, dict) else [value]:
            if isinstance(metric, MetricWrapperBase):
                for suffix in SUFFIXES[metric._type]:
                    found[metric._name + suffix] = set(metric._labelnames)
    return found


def names_in(expression: str) -> set[str]:
    """Metrics of an expression: its words without labels, durations, functions and their groupings."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on)\s*\([^)]*\)", " ", expression)
    return set(re.findall(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - FUNCTIONS


def labels_in(rule: dict[str, Any]) -> set[str]:
    """Labels that an alert groups by or speaks of."""
    grouped = re.findall(r"\bby\s*\(([^)]*)\)", rule["expr"])
    spoken = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
    return {label.strip() for group in grouped for label in group.split(",")} | set(spoken)


def test_every_service_is_scraped_at_its_port() -> None:
    loaded = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in loaded["scrape_configs"]}
    assert targets == {name: [f"{name}:5000"] for name in SERVICES}


def test_names_are_read_from_an_expression() -> None:
    expression = 'sum by (county) (increase(sync_jobs_failed_total{county!="x"}[30m])) / on (job) up > 3'
    assert names_in(expression) == {"sync_jobs_failed_total", "up"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_speaks_of_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    metrics = known_metrics()
    names = names_in(rule["expr"])
    assert names
    assert names - metrics.keys() - MADE_BY_PROMETHEUS == set()
    labels = {"job", "instance"}.union(*(metrics.get(name, set()) for name in names))
    assert labels_in(rule) - labels == set()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description"}


def test_failing_jobs_of_every_kind_raise_an_alert() -> None:
    watched = set().union(*(names_in(rule["expr"]) for rule in rules()))
    assert {f"{kind}_jobs_failed_total" for kind in telemetry.JOBS_FAILED} <= watched
