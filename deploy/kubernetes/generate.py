"""`python -m deploy.kubernetes.generate`: write the manifests that follow from the code: topics,
Kafka users and their rights, alert rules.
"""

from pathlib import Path
from typing import Any

import yaml

from deploy.kubernetes.paths import MANIFESTS, ROOT
from shared.kafka.access.formats import strimzi_user
from shared.kafka.access.grants import Grant, all_grants
from shared.kafka.topics import TOPICS, Topic

COMMAND = "make manifests"
_CLUSTER = "tocsin"
_REPLICAS = 3
_WITHOUT = {"tocsin-canary"}
"""Groups of alert rules that need more than the overlays have."""


def generated() -> dict[Path, str]:
    """Path and text of every generated file."""
    components = MANIFESTS / "components"
    return {
        components / "strimzi" / "topics.yaml": _render(_topic(topic) for topic in TOPICS),
        components / "strimzi" / "users.yaml": _render(_users()),
        components / "prometheus-operator" / "rules.yaml": _render([_rules()]),
    }


def _topic(topic: Topic) -> dict[str, Any]:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {"name": topic.name, "labels": {"strimzi.io/cluster": _CLUSTER}},
        "spec": {
            "partitions": topic.partitions,
            "replicas": _REPLICAS,
            "config": topic.configuration,
        },
    }


def _users() -> list[dict[str, Any]]:
    """One for each role that connects, but for "provisioner": Strimzi makes the topics itself."""
    roles: dict[str, list[Grant]] = {}
    for grant in all_grants():
        roles.setdefault(grant.role, []).append(grant)
    return [
        dict(strimzi_user(grants, f"tocsin-{role}", _CLUSTER))
        for role, grants in roles.items()
        if role != "provisioner"
    ]


def _rules() -> dict[str, Any]:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    groups = [group for group in rules["groups"] if group["name"] not in _WITHOUT]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "tocsin"},
        "spec": {"groups": groups},
    }


def _render(documents: Any) -> str:
    text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `{COMMAND}`.\n{text}"


def main() -> None:
    """Write all of them."""
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
