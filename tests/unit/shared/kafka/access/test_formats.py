"""The grants as Kafka's own tool and as Strimzi read them."""

from shared.kafka.access.formats import kafka_acls_command, strimzi_user
from shared.kafka.access.grants import Grant, Operation, Resource

GROUPS = Grant("reader", Resource.GROUP, "acme.tocsin.reader", Operation.READ, prefixed=True)
READ = Grant("operator", Resource.TOPIC, "tocsin.redrive.v1", Operation.READ)
WRITE = Grant("operator", Resource.TOPIC, "tocsin.redrive.v1", Operation.WRITE)
FENCE = Grant("a", Resource.TRANSACTIONAL_ID, "a-outbox-0", Operation.WRITE)


def test_a_command_of_kafka() -> None:
    assert kafka_acls_command(GROUPS, "our reader") == (
        "kafka-acls.sh --add --allow-principal 'User:our reader' --operation Read "
        "--group acme.tocsin.reader --resource-pattern-type prefixed"
    )
    assert "--transactional-id a-outbox-0" in kafka_acls_command(FENCE, "a")


def test_a_user_of_strimzi_has_one_entry_a_resource() -> None:
    user = strimzi_user([READ, WRITE, GROUPS, FENCE], "tocsin-operator", "kafka")
    assert user["metadata"] == {
        "name": "tocsin-operator",
        "labels": {"strimzi.io/cluster": "kafka"},
    }
    assert user["spec"]["authorization"]["acls"] == [
        {
            "resource": {"type": "topic", "name": "tocsin.redrive.v1", "patternType": "literal"},
            "operations": ["Read", "Write"],
        },
        {
            "resource": {"type": "group", "name": "acme.tocsin.reader", "patternType": "prefix"},
            "operations": ["Read"],
        },
        {
            "resource": {"type": "transactionalId", "name": "a-outbox-0", "patternType": "literal"},
            "operations": ["Write"],
        },
    ]
