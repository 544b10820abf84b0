"""What each role may do in Kafka. There is no grant that is not made here.

A role is a service, or one of those below: other systems and people, each with a principal of its
own. Only its owner writes a topic: a service writes what it declares, and the three topics that are
written from outside have a role each.

READ, WRITE and ALTER include DESCRIBE. An idempotent producer needs no more than WRITE on a topic.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.events import commands, rejections, reporting
from shared.kafka.access.declarations import ServiceTopics, declared_topics, outbox_fence
from shared.kafka.topics import REDRIVE, SIGNALS, TOPICS


class Resource(StrEnum):
    """Kinds of things in Kafka, named as `kafka-acls` names them."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    """What a principal may do, named as `kafka-acls` names it."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    ALTER = "Alter"
    DESCRIBE = "Describe"
    ALTER_CONFIGS = "AlterConfigs"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One operation on one thing that a role may do. `prefixed`: on all whose name begins so."""

    role: str
    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


ROLES = {
    "publisher": "other systems that send signals, and read why some were rejected",
    "responder": "whatever sends commands to acknowledge and resolve, such as a chat bot",
    "reader": "other systems that follow the state of incidents",
    "operator": "`tocsin dead-letters`",
    "provisioner": "`tocsin topics apply` and `tocsin doctor`",
    "monitor": "whatever reads the lag of the services, such as an autoscaler",
}
"""Roles beside the services, and what each is for."""


def all_grants(prefix: str = "") -> Sequence[Grant]:
    """The grants of every service that is installed, then those of the other roles.

    `prefix` is put before every topic, group and transactional id, as in TOCSIN_TOPIC_PREFIX.
    """
    services = declared_topics()
    return [
        *(grant for service in services for grant in _of_service(service, prefix)),
        *_of_other_systems(prefix),
        *_of_people(prefix),
        *_of_monitor(services, prefix),
    ]


def _of_service(declared: ServiceTopics, prefix: str) -> Iterator[Grant]:
    service = declared.service
    yield from _on_topics(service, prefix, Operation.READ, *declared.topics_in)
    yield Grant(service, Resource.GROUP, prefix + service, Operation.READ)
    yield from _on_topics(service, prefix, Operation.WRITE, *declared.topics_out)
    if declared.fenced:
        fence = outbox_fence(prefix, service)
        yield Grant(service, Resource.TRANSACTIONAL_ID, fence, Operation.WRITE)


def _of_other_systems(prefix: str) -> Iterator[Grant]:
    yield from _on_topics("publisher", prefix, Operation.WRITE, SIGNALS)
    yield from _on_topics("publisher", prefix, Operation.READ, rejections.REJECTIONS)
    yield _own_groups("publisher", prefix)
    yield from _on_topics("responder", prefix, Operation.WRITE, commands.TOPIC)
    yield from _on_topics("reader", prefix, Operation.READ, reporting.TOPIC)
    yield _own_groups("reader", prefix)


def _of_people(prefix: str) -> Iterator[Grant]:
    yield from _on_topics("operator", prefix, Operation.READ, rejections.DEAD_LETTERS, REDRIVE)
    yield from _on_topics("operator", prefix, Operation.WRITE, REDRIVE)
    names = [topic.name for topic in TOPICS]
    for operation in (Operation.CREATE, Operation.ALTER, Operation.ALTER_CONFIGS):
        yield from _on_topics("provisioner", prefix, operation, *names)


def _of_monitor(services: Sequence[ServiceTopics], prefix: str) -> Iterator[Grant]:
    read = dict.fromkeys(topic for service in services for topic in service.topics_in)
    yield from _on_topics("monitor", prefix, Operation.DESCRIBE, *read)
    for service in services:
        group = prefix + service.service
        yield Grant("monitor", Resource.GROUP, group, Operation.DESCRIBE)


def _on_topics(role: str, prefix: str, operation: Operation, *topics: str) -> Iterator[Grant]:
    for topic in topics:
        yield Grant(role, Resource.TOPIC, prefix + topic, operation)


def _own_groups(role: str, prefix: str) -> Grant:
    return Grant(role, Resource.GROUP, f"{prefix}tocsin.{role}", Operation.READ, prefixed=True)
