"""What is written from the code is committed as it would be written now."""

import re

import pytest
import yaml

from deploy.kubernetes.generate import COMMAND, generated
from deploy.kubernetes.paths import MANIFESTS
from services.escalation.topics import TOPICS_OUT
from shared.kafka.topics import TOPICS
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
    } == {topic.name: (topic.partitions, topic.configuration) for topic in TOPICS}


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
    text = (MANIFESTS / "components/prometheus-operator/rules.yaml").read_text()

    assert "TocsinPagesOverdue" in text
    assert not re.search("TocsinCanary", text)
