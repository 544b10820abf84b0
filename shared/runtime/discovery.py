"""What is installed: services, commands and checks are entry points of the distribution.

An image holds `shared` and one service, but the distribution lists the entry points of all: those
whose module is missing are skipped.
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

SERVICES = "tocsin.services"
"""Name of a service = its package, which has `cli`, `app` and `migrations`."""
COMMANDS = "tocsin.commands"
"""Name of a command group = the module whose `app` it is."""
TOP_LEVEL_COMMANDS = "tocsin.top-level-commands"
"""Modules whose `app` has commands without a group (`tocsin up`)."""
POLICIES = "tocsin.policies"
"""Name of a policy file = the function that lists the errors of that file in a folder."""
RETENTION = "tocsin.retention"
"""Name of a service = the package whose modules `policy` and `store` say what ages there."""
TELEMETRY = "tocsin.telemetry"
"""Name of a service = its package, whose modules `metrics` and `spans` declare what it records."""
ENVIRONMENT = "tocsin.environment"
"""Functions that complete the environment before a command reads its settings."""


def installed(group: str) -> Iterator[EntryPoint]:
    """The entry points of a group whose module can be imported here, in order of their names."""
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        if _can_be_imported(entry.module):
            yield entry


def service_packages() -> dict[str, str]:
    """The package of each installed service, by the service's name."""
    return {entry.name: entry.module for entry in installed(SERVICES)}


def missing_services() -> list[str]:
    """Names of the services that the distribution lists and this image does not have."""
    listed = {entry.name for entry in entry_points(group=SERVICES)}
    return sorted(listed - service_packages().keys())


def _can_be_imported(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package above it
        return False
