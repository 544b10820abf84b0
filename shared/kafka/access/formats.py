"""The grants as other programs read them: arguments of `kafka-acls`, Strimzi's KafkaUser."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from shared.kafka.access.grants import Grant, Resource

_STRIMZI_TYPES = {Resource.TRANSACTIONAL_ID: "transactionalId"}


def principal_of(name: str) -> str:
    """The principal of a user, as ACLs name it."""
    return f"User:{name}"


def kafka_acls_command(grant: Grant, name: str) -> str:
    """The command of Kafka's distribution that makes this grant for a principal, without the
    broker's address.
    """
    pattern = "prefixed" if grant.prefixed else "literal"
    return shlex.join(
        [
            *("kafka-acls.sh", "--add", "--allow-principal", principal_of(name)),
            *("--operation", grant.operation, f"--{grant.resource}", grant.name),
            *("--resource-pattern-type", pattern),
        ]
    )


def strimzi_acls(grants: Sequence[Grant]) -> list[dict[str, Any]]:
    """`spec.authorization.acls` of one role's KafkaUser: one entry a resource."""
    resources: dict[tuple[Resource, str, bool], list[str]] = {}
    for grant in grants:
        key = grant.resource, grant.name, grant.prefixed
        resources.setdefault(key, []).append(grant.operation.value)
    return [
        {
            "resource": {
                "type": _STRIMZI_TYPES.get(resource, resource.value),
                "name": name,
                "patternType": "prefix" if prefixed else "literal",
            },
            "operations": operations,
        }
        for (resource, name, prefixed), operations in resources.items()
    ]


def strimzi_user(
    grants: Sequence[Grant], name: str, cluster: str, authentication: str = "scram-sha-512"
) -> Mapping[str, Any]:
    """A KafkaUser with the grants of one role, for the Kafka named `cluster`."""
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": cluster}},
        "spec": {
            "authentication": {"type": authentication},
            "authorization": {"type": "simple", "acls": strimzi_acls(grants)},
        },
    }
