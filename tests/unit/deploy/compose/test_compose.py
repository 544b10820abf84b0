"""The laptop's set-up fits the code: settings, images, policy, scraped services, mounted files."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.canary.settings import CanarySettings
from deploy.images import IMAGES
from deploy.local.jars import KAFKA_VERSION
from deploy.local.paths import CHECKOUT
from shared.runtime.discovery import POLICIES, installed
from tests.support.promql import SCRAPED

FOLDER = CHECKOUT / "deploy" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: it for name, it in SERVICES.items() if it["image"].startswith("tocsin-")}


def environment(service: str) -> dict[str, Any]:
    """The environment of a container."""
    variables: dict[str, Any] = SERVICES[service]["environment"]
    return variables


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting(service: str) -> None:
    known = {f"TOCSIN_{name.upper()}" for name in CanarySettings.model_fields}
    given = {name for name in environment(service) if name.startswith("TOCSIN_")}
    assert given <= known


def test_every_image_is_built_once_from_its_target() -> None:
    built = [it["build"]["target"] for it in OURS.values() if "build" in it]
    assert sorted(built) == sorted(IMAGES)
    targets = re.findall(r"^FROM runtime AS (\w+)$", dockerfile(), re.MULTILINE)
    assert sorted(targets) == sorted(IMAGES)


def dockerfile() -> str:
    """The file that the images are built from."""
    (path,) = {it["build"]["dockerfile"] for it in OURS.values() if "build" in it}
    text: str = (CHECKOUT / path).read_text()
    return text


@pytest.mark.parametrize("service", OURS)
def test_containers_of_tocsin_are_restricted(service: str) -> None:
    container = OURS[service]
    assert container["read_only"]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]


def test_the_broker_is_the_one_of_the_local_stack() -> None:
    assert f"apache/kafka:{KAFKA_VERSION}" in SERVICES["kafka"]["image"]


def test_everything_is_published_on_loopback_alone() -> None:
    published = [port for container in SERVICES.values() for port in container.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert "ports" not in SERVICES["postgres"]


def test_mounted_files_exist() -> None:
    assert [source for source in mounted() if not (FOLDER / source).exists()] == []


def mounted() -> Iterator[str]:
    """What containers mount of the checkout, from this folder."""
    for container in SERVICES.values():
        for volume in container.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                yield source
            else:
                assert source in COMPOSE["volumes"]


def test_the_policy_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = environment("escalation")["TOCSIN_ALLOWED_NETWORKS"]
    monkeypatch.setenv("TOCSIN_ALLOWED_NETWORKS", networks)
    found = [
        str(error) for check in installed(POLICIES) for error in check.load()(FOLDER / "policy")
    ]
    assert found == []


def test_prometheus_scrapes_every_service_by_the_name_that_rules_use() -> None:
    scraped = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    assert {job["job_name"] for job in scraped} == {f"tocsin-{service}" for service in SCRAPED}
    for job in scraped:
        (target,) = job["static_configs"][0]["targets"]
        host, _, port = target.partition(":")
        assert job["job_name"] == f"tocsin-{host}"
        assert port == "8090"
