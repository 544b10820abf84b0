"""`python -m deploy.kubernetes.generate`: write the manifests that follow from the code: topics,
Kafka users and their rights, alert rules.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from deploy.kubernetes.paths import MANIFESTS, ROOT
from shared.kafka.access.formats import strimzi_user
from shared.kafka.access.grants import Grant, all_grants
from shared.kafka.topics import Topic
from shared.policy.files import InvalidPolicy
from shared.policy.retention import topics_in

COMMAND = "make manifests"
POLICY = MANIFESTS / "base" / "policy"
_CLUSTER = "tocsin"
_REPLICAS = 3
_CANARY = "tocsin-canary"
"""The group of its alert rules, and the object that they are in."""


def generated(policy: Path = POLICY) -> dict[Path, str]:
    """Path and text of every generated file. Topics have the retention of a policy folder. Raises
    InvalidPolicy.
    """
    components = MANIFESTS / "components"
    topics = topics_in(policy)
    return {
        components / "strimzi" / "topics.yaml": _render(_topic(topic) for topic in topics),
        components / "strimzi" / "users.yaml": _render(_users()),
        components / "prometheus-operator" / "rules.yaml": _render([_rules("tocsin")]),
        components / "canary-alerts" / "rules.yaml": _render([_rules(_CANARY)]),
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


def _rules(name: str) -> dict[str, Any]:
    """Those of the canary are an object of their own: one of them fires where none runs."""
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    groups = [group for group in rules["groups"] if (group["name"] == _CANARY) == (name == _CANARY)]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name},
        "spec": {"groups": groups},
    }


def _render(documents: Any) -> str:
    text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `{COMMAND}`.\n{text}"


def main(
    policy: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder with retention.yaml.")
    ] = POLICY,
) -> None:
    """Write the Kubernetes manifests that follow from the code and from the retention of topics."""
    try:
        files = generated(policy)
    except InvalidPolicy as error:
        sys.exit(str(error))
    for path, text in files.items():
        path.write_text(text)


if __name__ == "__main__":
    typer.run(main)
