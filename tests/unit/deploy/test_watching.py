"""Prometheus and Grafana: what they ask for exists, what they are told is understood, alerts ring when they must."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.telemetry import Telemetry
from tests.support.tools import found, needs
from tests.unit.deploy.stack import ROOT, needs_compose, services

PROMETHEUS, GRAFANA = ROOT / "deploy/prometheus", ROOT / "deploy/grafana"
ALERTS: dict[str, Any] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
needs_promtool = needs("promtool", "Debian's prometheus")


def promtool(*arguments: str | Path) -> None:
    """Fails with what it says."""
    said = subprocess.run([found("promtool") or "", *arguments], capture_output=True, text=True, check=False)

    assert said.returncode == 0, said.stdout + said.stderr


def panels() -> list[dict[str, Any]]:
    """Of the dashboard, but for the rows' titles."""
    told: list[dict[str, Any]] = json.loads((GRAFANA / "dashboards/mneme.json").read_text())["panels"]
    return [panel for panel in told if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """Every expression of the dashboard."""
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def shown() -> set[str]:
    """The names that a scrape shows."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    told = Telemetry().registry.collect()
    return {metric.name + suffix for metric in told for suffix in suffixes.get(metric.type, ("",))}


@pytest.mark.parametrize("asked", [*queries(), *(rule["expr"] for rule in rules())])
def test_what_is_asked_for_exists(asked: str) -> None:
    """Every metric of the dashboard and of the alerts is one of ours, of the process's, or Prometheus's own `up`."""
    named = set(re.findall(r"\b((?:mneme|process)_\w+)", asked))

    assert named or "up{" in asked
    assert named <= shown()


def test_every_metric_of_ours_is_shown() -> None:
    """Somewhere on the dashboard, so that a new one is not forgotten."""
    ours = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in shown() if name.startswith("mneme_")}
    text = " ".join(queries())

    assert {name for name in ours if name not in text} == set()


@needs_promtool
def test_the_configuration_is_understood() -> None:
    """With its rules, by Prometheus's own checker."""
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@needs_promtool
def test_the_dashboard_s_queries_are_understood(tmp_path: Path) -> None:
    """Each as if it were a rule, since those can be checked."""
    recorded = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))

    promtool("check", "rules", tmp_path / "rules.yml")


@needs_promtool
def test_alerts_ring_when_they_must_and_not_otherwise(tmp_path: Path) -> None:
    """On made-up series: a quiet day, a day on which everything fails, a journal that nobody reaches."""
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path / "alerts.rules")
    shutil.copy(Path(__file__).with_name("alerts.yml"), tmp_path / "tests.yml")

    promtool("test", "rules", tmp_path / "tests.yml")


def test_every_alert_is_asked_to_ring() -> None:
    """An alert without a case in alerts.yml may never ring."""
    told = yaml.safe_load(Path(__file__).with_name("alerts.yml").read_text())["tests"]
    ringing = {case["alertname"] for test in told for case in test["alert_rule_test"] if case.get("exp_alerts")}

    assert {rule["alert"] for rule in rules()} == ringing


def test_every_panel_asks_a_source_that_there_is() -> None:
    """By the name that Grafana is told at its start."""
    told = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    asked = {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]}

    assert asked | {panel["datasource"]["uid"] for panel in panels()} == {source["uid"] for source in told}


def test_no_panel_lies_on_another() -> None:
    """Each has a place of its own on a grid of 24 columns."""
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in panels())
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@needs_compose
def test_dashboards_lie_where_grafana_looks() -> None:
    """The folder that is mounted is the one that is provided, and the first page is in it."""
    grafana = services()["grafana"]
    provided = yaml.safe_load((GRAFANA / "provisioning/dashboards/mneme.yml").read_text())["providers"]
    places = {mount["target"]: mount["source"] for mount in grafana["volumes"] if mount["type"] == "bind"}
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    assert [places.get(one["options"]["path"]) for one in provided] == [str(GRAFANA / "dashboards")]
    assert (Path(places[str(home.parent)]) / home.name).exists()


@needs_compose
def test_who_is_asked_is_there() -> None:
    """The names that Prometheus looks up are services that share a network with it, on a port that they listen on."""
    told = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    asked = {(name, dns["port"]) for job in told for dns in job["dns_sd_configs"] for name in dns["names"]}
    near = set(services()["prometheus"]["networks"])

    assert asked == {("gateway", 8080), ("writer", 8080), ("vllm", 8000)}
    assert all(near & set(services()[name]["networks"]) for name, _ in asked)
    assert {services()[role]["environment"]["MNEME_PORT"] for role in ("gateway", "writer")} == {"8080"}
