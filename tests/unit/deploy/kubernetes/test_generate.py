"""What is written from the code is committed as it would be written now."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.kubernetes.generate import COMMAND, POLICY, generated
from deploy.kubernetes.paths import MANIFESTS
from services.escalation.topics import TOPICS_OUT
from shared.policy.retention import topics_in
from tests.architecture.tree import relative, services

FILES = generated()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_current(path: object) -> None:
    (found,) = [(file, text) for file, text in FILES.items() if file == path]
    assert found[0].read_text() == found[1], f"{relative(found[0])}: run `{COMMAND}`"


def test_every_topic_has_its_shape() -> None:
    documents = list(yaml.safe_load_all((MANIFESTS / "components/strimzi/topics.yaml").read_text()))

    assert {
        one["metadata"]["name"]: (one["spec"]["partitions"], one["spec"]["config"])
        for one in documents
    } == {topic.name: (topic.partitions, topic.configuration) for topic in topics_in(POLICY)}


def test_topics_have_the_retention_of_the_policy(tmp_path: Path) -> None:
    (tmp_path / "retention.yaml").write_text("topics: {tocsin.signals.v1: 3d}")
    (text,) = [t for path, t in generated(tmp_path).items() if path.name == "topics.yaml"]
    kept = {
        one["metadata"]["name"]: one["spec"]["config"].get("retention.ms")
        for one in yaml.safe_load_all(text)
    }
    assert kept["tocsin.signals.v1"] == "259200000"
    assert kept["tocsin.intake.v1"] == "2592000000"


def test_a_service_may_write_its_own_topics_and_no_other() -> None:
    users = {
        one["metadata"]["name"]: one["spec"]["authorization"]["acls"]
        for one in yaml.safe_load_all((MANIFESTS / "components/strimzi/users.yaml").read_text())
    }
    written = {
        acl["resource"]["name"]
        for acl in users["tocsin-escalation"]
        if acl["resource"]["type"] == "topic" and "Write" in acl["operations"]
    }

    assert written == set(TOPICS_OUT)
    assert {f"tocsin-{service}" for service in services()} < users.keys()


def test_no_rule_waits_for_a_canary_that_does_not_run() -> None:
    components = MANIFESTS / "components"
    text = (components / "prometheus-operator/rules.yaml").read_text()
    of_the_canary = (components / "canary-alerts/rules.yaml").read_text()

    assert "TocsinPagesOverdue" in text
    assert not re.search("TocsinCanary", text)
    assert set(re.findall(r"alert: Tocsin(\w{6})", of_the_canary)) == {"Canary"}
