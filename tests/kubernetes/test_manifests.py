"""What the manifests of every overlay must have, beyond what their schemas say."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.canary.settings import CanarySettings
from deploy.kubernetes.paths import MANIFESTS, ROOT
from shared.kafka.access.declarations import declared_topics
from shared.kafka.topics import TOPICS
from shared.runtime.cli import policy_check
from shared.runtime.settings import variable_of
from tests.architecture.tree import services
from tests.kubernetes.conftest import OVERLAYS, Json, documents, name_of, of_kind

STOP_SECONDS = 20
"""In which a service ends after SIGTERM: docs/operations.md."""
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def workloads(overlay: str) -> list[Json]:
    return of_kind(overlay, "Deployment", "StatefulSet", "Job")


def pod(workload: Json) -> Json:
    found: Json = workload["spec"]["template"]["spec"]
    return found


def containers(overlay: str) -> Iterator[tuple[str, Json]]:
    for workload in workloads(overlay):
        for container in [*pod(workload).get("initContainers", []), *pod(workload)["containers"]]:
            yield name_of(workload), container


def service_deployments(overlay: str) -> dict[str, Json]:
    deployed = {
        one["metadata"]["labels"]["app.kubernetes.io/name"]: one
        for one in of_kind(overlay, "Deployment")
        if one["metadata"]["labels"].get("app.kubernetes.io/component") == "service"
    }
    assert sorted(deployed) == services()
    return deployed


@every_overlay
def test_every_image_is_named_by_its_digest(overlay: str) -> None:
    images = {container["image"] for _, container in containers(overlay)}

    assert [image for image in images if not re.search(r"@sha256:[0-9a-f]{64}$", image)] == []


@every_overlay
def test_no_pod_has_a_token_or_variables_of_other_services(overlay: str) -> None:
    for workload in workloads(overlay):
        assert pod(workload)["automountServiceAccountToken"] is False, name_of(workload)
        assert pod(workload)["enableServiceLinks"] is False, name_of(workload)
    for account in of_kind(overlay, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False, name_of(account)


@every_overlay
def test_every_container_is_restricted_and_bounded(overlay: str) -> None:
    for name, container in containers(overlay):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_overlay
def test_a_stop_is_given_the_time_that_it_takes(overlay: str) -> None:
    for name, deployment in service_deployments(overlay).items():
        (container,) = pod(deployment)["containers"]
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod(deployment)["terminationGracePeriodSeconds"] >= pause + STOP_SECONDS, name
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, name


@every_overlay
def test_every_service_is_probed_and_known_by_its_pod(overlay: str) -> None:
    for name, deployment in service_deployments(overlay).items():
        (container,) = pod(deployment)["containers"]
        paths = {
            probe: container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert paths == {
            "startupProbe": "/livez",
            "livenessProbe": "/livez",
            "readinessProbe": "/readyz",
        }, name
        instance = [one for one in container["env"] if one["name"] == "TOCSIN_INSTANCE"]
        assert instance[0]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name", name


@every_overlay
def test_cpu_is_shared_out_in_the_order_that_the_documentation_recommends(overlay: str) -> None:
    requested = {
        name: int(pod(one)["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m"))
        for name, one in service_deployments(overlay).items()
    }

    share = requested["reporting"]
    assert {name: cpu / share for name, cpu in requested.items()} == {
        "escalation": 4,
        "triage": 4,
        "intake": 2,
        "reporting": 1,
    }


def test_the_small_overlay_fits_on_two_processors_also_during_an_update() -> None:
    requested = sum(
        int(pod(one)["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m"))
        * one["spec"].get("replicas", 1)
        for one in of_kind("small", "Deployment", "StatefulSet")
    )
    largest = max(
        int(pod(one)["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m"))
        for one in of_kind("small", "Deployment")
    )

    assert requested + largest <= 2000


@every_overlay
def test_secrets_are_referred_to_and_documented(overlay: str) -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    made = {one["metadata"]["name"] for one in of_kind(overlay, "Secret", "KafkaUser")}
    # Made by the operators: authorities of the brokers and of the database, the certificate.
    made |= {"tocsin-cluster-ca-cert", "tocsin-postgres-ca", "tocsin-gateway-certificate"}

    missing = sorted(name for name in secret_names(documents(overlay)) - made if name not in text)

    assert missing == []


def secret_names(value: object) -> set[str]:
    """The names of all Secrets that a document refers to."""
    if isinstance(value, list):
        return set().union(*map(secret_names, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(secret_names, value.values()))
    for key in ("secret", "secretKeyRef", "passwordSecret", "superuserSecret"):
        if isinstance(reference := value.get(key), dict):
            found.add(reference.get("secretName") or reference.get("name") or "")
    return found - {""}


@every_overlay
def test_no_more_replicas_than_partitions(overlay: str) -> None:
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    most = {
        f"tocsin-{one.service}": max(partitions[topic] for topic in one.topics_in)
        for one in declared_topics()
    }

    for scaler in of_kind(overlay, "HorizontalPodAutoscaler"):
        assert scaler["spec"]["maxReplicas"] <= most[scaler["metadata"]["name"]]
    for scaled in of_kind(overlay, "ScaledObject"):
        assert scaled["spec"]["maxReplicaCount"] == most[scaled["metadata"]["name"]]


@every_overlay
def test_nothing_is_reached_that_no_policy_allows(overlay: str) -> None:
    (deny,) = [
        one
        for one in of_kind(overlay, "NetworkPolicy")
        if one["metadata"]["name"] == "tocsin-default-deny"
    ]

    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@every_overlay
def test_all_is_in_one_namespace(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace")
    others = {
        name_of(one): one["metadata"].get("namespace")
        for one in documents(overlay)
        if one is not namespace and one["kind"] != "Namespace"
    }

    assert set(others.values()) == {namespace["metadata"]["name"]}


@every_overlay
def test_every_variable_is_a_setting(overlay: str) -> None:
    known = {variable_of(name) for name in CanarySettings.model_fields}
    (settings,) = [
        one
        for one in of_kind(overlay, "ConfigMap")
        if one["metadata"]["name"].startswith("tocsin-settings-")
    ]
    given = set(settings["data"])
    for name, container in containers(overlay):
        if "/tocsin-" in container["image"]:
            given |= {one["name"] for one in container.get("env", [])}
            (source,) = container["envFrom"]
            assert source["configMapRef"]["name"] == settings["metadata"]["name"], name

    assert {name for name in given if name.startswith("TOCSIN_")} - known == set()


def test_the_canary_is_paged_where_it_listens() -> None:
    policy = yaml.safe_load((MANIFESTS / "base" / "policy" / "teams.yaml").read_text())
    (service,) = [
        one for one in of_kind("ha", "Service") if one["metadata"]["name"] == "tocsin-canary"
    ]
    (deployment,) = [
        one for one in of_kind("ha", "Deployment") if one["metadata"]["name"] == "tocsin-canary"
    ]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}

    assert policy["users"]["canary"]["webhook"] == "http://tocsin-canary/pages"
    assert ports["http"] == 80
    assert service["spec"]["selector"].items() <= labels.items()


def test_every_component_is_in_an_overlay_or_said_to_be_optional() -> None:
    used = "".join(
        (MANIFESTS / "overlays" / name / "kustomization.yaml").read_text() for name in OVERLAYS
    )
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    unused = [
        folder.name
        for folder in sorted((MANIFESTS / "components").iterdir())
        if f"components/{folder.name}\n" not in used and f"`{folder.name}` (optional)" not in text
    ]

    assert unused == []


def test_the_policy_of_the_base_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    policy_check(Path(MANIFESTS / "base" / "policy"))

    assert "the policy is good" in capsys.readouterr().out
