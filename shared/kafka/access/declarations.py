"""The topics of every service, as each declares them.

A service's module `topics` has TOPICS_IN, TOPICS_OUT, and FENCED if its relay publishes in Kafka
transactions. What a service may do in Kafka follows from these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from shared.runtime.discovery import service_packages


@dataclass(frozen=True, slots=True)
class ServiceTopics:
    """What one service reads and writes. `fenced`: it publishes in Kafka transactions."""

    service: str
    topics_in: tuple[str, ...]
    topics_out: tuple[str, ...]
    fenced: bool


def declared_topics() -> Sequence[ServiceTopics]:
    """Those of every service that is installed, by name."""
    return [_load(service, package) for service, package in service_packages().items()]


def outbox_fence(prefix: str, service: str) -> str:
    """The transactional id of a service's relay."""
    return f"{prefix}{service}-outbox-0"


def _load(service: str, package: str) -> ServiceTopics:
    module = import_module(f"{package}.topics")
    fenced = getattr(module, "FENCED", False)
    return ServiceTopics(service, module.TOPICS_IN, module.TOPICS_OUT, fenced)
