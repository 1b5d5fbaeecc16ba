"""deploy/kubernetes: Kubernetes knows every resource, nothing may do more than it must, and who leaves drains."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.settings import Settings
from tests.support.tools import found, needs
from tests.unit.deploy.stack import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
VERSIONS = ("1.34", kubernetes_validate.latest_version())
ROLES = ("gateway", "writer")

Resource = dict[str, Any]
needs_kubectl = needs("kubectl", "Kubernetes (with kustomize 5)")


def resources(path: Path) -> list[Resource]:
    """Those of a file."""
    return list(yaml.safe_load_all(path.read_text()))


MANIFESTS = sorted(path for path in KUBERNETES.glob("*/*.yaml") if path.name != "kustomization.yaml")
ALL = [resource for path in MANIFESTS for resource in resources(path)]
WORKLOADS = [resource for resource in ALL if resource["kind"] in ("Deployment", "StatefulSet")]


def called(resource: Resource) -> str:
    """A readable test id."""
    return f"{resource['kind']}-{resource['metadata']['name']}"


def kustomization(name: str) -> Resource:
    """What a folder consists of."""
    told: Resource = yaml.safe_load((KUBERNETES / name / "kustomization.yaml").read_text())
    return told


def settings() -> dict[str, str]:
    """What the base sets."""
    (made,) = kustomization("base")["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in made["literals"])


def role(kind: str, name: str) -> Resource:
    """One resource of gateway or writer."""
    (resource,) = [r for r in ALL if (r["kind"], r["metadata"]["name"]) == (kind, f"mneme-{name}")]
    return resource


def containers(workload: Resource) -> list[Resource]:
    """Of its pods."""
    told: list[Resource] = workload["spec"]["template"]["spec"]["containers"]
    return told


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", ALL, ids=called)
def test_kubernetes_knows_it(resource: Resource, version: str) -> None:
    """By the published schema, strictly: no member that it does not have."""
    assert kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("name", ["base", "single"])
def test_a_folder_lists_what_is_in_it(name: str) -> None:
    """Every manifest, and nothing that is not there."""
    listed = kustomization(name)["resources"]
    folder = KUBERNETES / name

    assert [entry for entry in listed if not (folder / entry).exists()] == []
    assert {path.name for path in MANIFESTS if path.parent == folder} <= set(listed)


@needs_kubectl
@pytest.mark.parametrize("name", ["base", "single"])
def test_kustomize_builds_it(name: str) -> None:
    """All of it, each in the namespace, and Kubernetes knows that too."""
    command = [found("kubectl") or "", "kustomize", str(KUBERNETES / name)]
    built = list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    made = {called(resource) for resource in built}
    expected = {called(r) for path in MANIFESTS if path.parent.name in ("base", name) for r in resources(path)}

    assert expected < made
    assert {r["metadata"].get("namespace") for r in built if r["kind"] != "Namespace"} == {"mneme"}
    assert all(kubernetes_validate.validate(resource, VERSIONS[0], strict=True) for resource in built)


@pytest.mark.parametrize("workload", WORKLOADS, ids=called)
def test_nothing_may_do_more_than_it_must(workload: Resource) -> None:
    """What the profile "restricted" asks for, a read-only root, no token, no variables from services, and limits."""
    pod = workload["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    for container in containers(workload):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("workload", WORKLOADS, ids=called)
def test_everything_says_whether_it_is_well(workload: Resource) -> None:
    """While it starts, while it runs, and whether it can be asked."""
    for container in containers(workload):
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


@pytest.mark.parametrize("name", ROLES)
def test_a_dead_worker_does_not_restart_anybody(name: str) -> None:
    """Only being ready depends on others; being alive does not."""
    (container,) = containers(role("Deployment", name))
    asked = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert asked == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }


@pytest.mark.parametrize("name", ROLES)
def test_who_is_stopped_has_time_to_drain(name: str) -> None:
    """The pause until everyone knows, MNEME_DRAIN_SECONDS for answers, and as long again for what they taught."""
    pod = role("Deployment", name)["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod["terminationGracePeriodSeconds"] > pause + 2 * int(settings()["MNEME_DRAIN_SECONDS"])


@pytest.mark.parametrize("name", ROLES)
def test_a_role_outlives_a_machine(name: str) -> None:
    """Two at least, spread over machines and zones, of which one at most is taken away at a time."""
    labels = role("Deployment", name)["spec"]["selector"]["matchLabels"]
    spread = role("Deployment", name)["spec"]["template"]["spec"]["topologySpreadConstraints"]
    budget, scaler = role("PodDisruptionBudget", name)["spec"], role("HorizontalPodAutoscaler", name)["spec"]

    assert {each["topologyKey"] for each in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert [each["labelSelector"]["matchLabels"] for each in spread] == [labels, labels]
    assert (budget["maxUnavailable"], budget["selector"]["matchLabels"]) == (1, labels)
    assert (scaler["minReplicas"] >= 2, scaler["scaleTargetRef"]["name"]) == (True, f"mneme-{name}")
    assert "replicas" not in role("Deployment", name)["spec"]


def test_writers_grow_with_the_queue() -> None:
    """By a metric that the gateways and writers show."""
    (metric,) = role("HorizontalPodAutoscaler", "writer")["spec"]["metrics"]

    assert metric["external"]["metric"]["name"] == "mneme_journal_pending"


def test_what_is_set_are_settings() -> None:
    """Every variable of the base is read by somebody, and none of them is a secret."""
    secret = {
        f"MNEME_{name.upper()}" for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)
    }
    named = settings().keys()

    assert {name.removeprefix("MNEME_").lower() for name in named} <= set(Settings.model_fields)
    assert named & secret == set()


def test_there_is_no_secret_in_it() -> None:
    """Names of secrets only: who installs it makes them."""
    assert [called(resource) for resource in ALL if resource["kind"] == "Secret"] == []


def labelled() -> Iterator[tuple[str, dict[str, str]]]:
    """Every selector that a service, a budget or a policy has."""
    for resource in ALL:
        spec = resource.get("spec", {})
        if resource["kind"] == "Service":
            yield called(resource), spec["selector"]
        for key in ("selector", "podSelector"):
            if resource["kind"] in ("PodDisruptionBudget", "NetworkPolicy") and key in spec:
                yield called(resource), spec[key].get("matchLabels", {})


def test_selectors_find_somebody() -> None:
    """A label that nobody has would be a service without pods, or a policy without effect."""
    pods = [workload["spec"]["template"]["metadata"]["labels"] for workload in WORKLOADS]

    assert [name for name, asked in labelled() if not any(asked.items() <= pod.items() for pod in pods)] == []


def test_ports_have_the_names_that_are_used() -> None:
    """Of services, probes and policies."""
    for workload in WORKLOADS:
        (container,) = containers(workload)
        known = {port["name"] for port in container["ports"]}
        probes = [container[probe] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        labels = workload["spec"]["template"]["metadata"]["labels"]
        served = [r for r in ALL if r["kind"] == "Service" and r["spec"]["selector"].items() <= labels.items()]

        assert {probe["httpGet"]["port"] for probe in probes if "httpGet" in probe} <= known
        assert {port["targetPort"] for service in served for port in service["spec"]["ports"]} <= known
