"""Every principal, every operation, every thing: the broker allows what is granted, and no more."""

import pytest

from shared.kafka.access.acls import acl_of, open_acls
from shared.kafka.access.declarations import declared_topics, outbox_fence
from shared.kafka.access.formats import principal_of
from shared.kafka.access.grants import ROLES, Operation, Resource, all_grants
from shared.kafka.provisioning import apply_topics
from shared.kafka.security import PLAINTEXT
from shared.kafka.topics import TOPICS
from tests.support.attempts import Allowed, attempts
from tests.support.running import eventually
from tests.support.secured_kafka import STRANGER, SecuredKafka

SERVICES = [declared.service for declared in declared_topics()]
IMPLY_DESCRIBE = {
    (Resource.TOPIC, Operation.READ),
    (Resource.TOPIC, Operation.WRITE),
    (Resource.TOPIC, Operation.ALTER),
    (Resource.GROUP, Operation.READ),
}
"""What includes DESCRIBE in Kafka."""


@pytest.fixture
async def prefix(broker: SecuredKafka, topic_prefix: str) -> str:
    """Prefix of topics that exist, with the ACLs of all grants."""
    await apply_topics(broker.bootstrap, topic_prefix, replication=1)
    wanted = [
        acl_of(grant, principal_of(f"tocsin-{grant.role}")) for grant in all_grants(topic_prefix)
    ]
    async with open_acls(broker.bootstrap, PLAINTEXT) as acls:
        await acls.add(wanted)

        async def in_force() -> bool:
            return not (await acls.compare(wanted)).missing

        await eventually("the broker has the ACLs", in_force)
    return topic_prefix


def _expected(role: str, prefix: str) -> Allowed:
    """What a role may do, on the names that are tried here."""
    expected: Allowed = set()
    for grant in all_grants(prefix):
        if grant.role == role:
            name = grant.name + "-1" * grant.prefixed
            expected.add((grant.resource, name, grant.operation))
            if (grant.resource, grant.operation) in IMPLY_DESCRIBE:
                expected.add((grant.resource, name, Operation.DESCRIBE))
    return expected


async def test_every_principal_may_do_what_is_granted_and_nothing_else(
    broker: SecuredKafka, prefix: str
) -> None:
    topics = [prefix + topic.name for topic in TOPICS]
    groups = [prefix + service for service in SERVICES]
    groups += [f"{prefix}tocsin.{role}-1" for role in ROLES]
    fences = [outbox_fence(prefix, service) for service in SERVICES]
    allowed: dict[str, Allowed] = {}
    for role in [*SERVICES, *ROLES, ""]:
        user = f"tocsin-{role}" if role else STRANGER
        security = broker.token_security(user) if role in ROLES else broker.security(user)
        async with attempts(broker.secured, security) as tried:
            await tried.on_topics(topics)
            await tried.on_groups(groups)
            await tried.on_transactional_ids(fences)
            allowed[role] = tried.allowed
    wrong = {role: sorted(found ^ _expected(role, prefix)) for role, found in allowed.items()}
    assert {role: differing for role, differing in wrong.items() if differing} == {}
    assert len(allowed) == len(SERVICES) + len(ROLES) + 1
    assert sum(map(len, allowed.values())) > 100
    assert allowed[""] == set()
