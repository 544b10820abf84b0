"""Who may write what, in full: a topic that gets another writer has to be changed here as well."""

from shared.kafka.access.declarations import declared_topics
from shared.kafka.access.grants import ROLES, Operation, Resource, all_grants
from shared.kafka.topics import TOPICS

WRITERS = {
    "tocsin.signals.v1": {"publisher"},
    "tocsin.commands.v1": {"responder"},
    "tocsin.redrive.v1": {"operator"},
    "tocsin.intake.v1": {"intake"},
    "tocsin.triage.v1": {"triage"},
    "tocsin.escalation.v1": {"escalation"},
    "tocsin.incidents.v1": {"reporting"},
    "tocsin.rejections.v1": {"intake"},
    "tocsin.dead-letters.v1": {"intake", "triage", "escalation", "reporting"},
}
READERS = {
    "tocsin.signals.v1": {"intake", "reporting"},
    "tocsin.commands.v1": {"escalation", "reporting"},
    "tocsin.redrive.v1": {"intake", "triage", "escalation", "reporting", "operator"},
    "tocsin.intake.v1": {"triage", "reporting"},
    "tocsin.triage.v1": {"escalation", "reporting"},
    "tocsin.escalation.v1": {"intake", "reporting"},
    "tocsin.incidents.v1": {"reader"},
    "tocsin.rejections.v1": {"reporting", "publisher"},
    "tocsin.dead-letters.v1": {"reporting", "operator"},
}


def roles_with(operation: Operation, resource: Resource = Resource.TOPIC) -> dict[str, set[str]]:
    """The roles that have an operation, by the name of the thing."""
    roles: dict[str, set[str]] = {}
    for grant in all_grants():
        if (grant.resource, grant.operation) == (resource, operation):
            roles.setdefault(grant.name, set()).add(grant.role)
    return roles


def test_only_its_owner_and_named_roles_write_a_topic() -> None:
    assert roles_with(Operation.WRITE) == WRITERS
    assert WRITERS.keys() == {topic.name for topic in TOPICS}


def test_nobody_reads_what_is_not_for_him() -> None:
    assert roles_with(Operation.READ) == READERS


def test_only_the_provisioner_makes_and_changes_topics() -> None:
    for operation in (Operation.CREATE, Operation.ALTER, Operation.ALTER_CONFIGS):
        assert roles_with(operation) == {topic.name: {"provisioner"} for topic in TOPICS}


def test_each_service_has_its_own_group_and_only_the_fenced_relay_a_transactional_id() -> None:
    services = {declared.service for declared in declared_topics()}
    groups = roles_with(Operation.READ, Resource.GROUP)
    assert groups == {service: {service} for service in services} | {
        "tocsin.publisher": {"publisher"},
        "tocsin.reader": {"reader"},
    }
    fences = roles_with(Operation.WRITE, Resource.TRANSACTIONAL_ID)
    assert fences == {"reporting-outbox-0": {"reporting"}}


def test_the_prefix_is_before_every_name() -> None:
    prefixed = [grant.name for grant in all_grants("acme.")]
    assert prefixed == [f"acme.{grant.name}" for grant in all_grants()]


def test_roles_are_no_services_and_have_grants() -> None:
    granted = {grant.role for grant in all_grants()}
    services = {declared.service for declared in declared_topics()}
    assert not services & ROLES.keys()
    assert granted == services | ROLES.keys()
    assert len(set(all_grants())) == len(all_grants())
