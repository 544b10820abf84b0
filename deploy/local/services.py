"""The installed services, in the order in which an incident passes through them."""

from shared.runtime.discovery import service_packages

_ORDER = ("intake", "triage", "escalation", "reporting")


def installed_services() -> list[str]:
    """Names of the installed services; ones that this order does not name come last."""
    return sorted(service_packages(), key=_position)


def _position(service: str) -> tuple[int, str]:
    return (_ORDER.index(service) if service in _ORDER else len(_ORDER), service)
