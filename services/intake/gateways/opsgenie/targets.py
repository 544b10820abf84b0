"""Which alert a call is about."""

from dataclasses import dataclass

from services.intake.gateways.domain.texts import identity
from services.intake.gateways.gateway import Desk, Submission
from services.intake.gateways.opsgenie.alerts import origin
from services.intake.gateways.opsgenie.answers import not_processable
from services.intake.gateways.opsgenie.identifiers import alert_id, incident_of
from services.intake.signals.domain import KnownAlert

_UNKNOWN = "Alert does not exist"
_NO_ALIAS = "There is no open alert with this alias"
CLOSED = "Alert is already closed"
"""Zabbix's script looks for `There is no open alert` and `Alert is already`, and asks again after
any other failure.
"""
_KINDS = ("id", "alias", "tiny")


@dataclass(frozen=True, slots=True)
class Target:
    """The alert that a call names. `key` is empty, and `problem` says why, where none is known by
    that id; an alias is a key, known or not.
    """

    key: str = ""
    known: KnownAlert | None = None
    problem: str = _UNKNOWN

    @property
    def is_open(self) -> bool:
        return self.known is not None and self.known.status != "resolved"


async def find_target(
    desk: Desk, submission: Submission, parameter: str = "identifierType"
) -> Target:
    """The alert that the path names by id, alias or tiny id. Raises Problem for any other kind."""
    identifier = submission.path["identifier"]
    kind = submission.query.get(parameter) or "id"
    if kind not in _KINDS:
        raise not_processable(parameter, f"must be one of {', '.join(_KINDS)}")
    if kind == "alias":
        return await _by_alias(desk, submission, identifier)
    if kind == "tiny":
        return await _by_tiny_id(desk, submission, identifier)
    return await _by_id(desk, submission, identifier)


async def _by_alias(desk: Desk, submission: Submission, alias: str) -> Target:
    key = identity(alias)
    if not key:
        return Target()
    known = await desk.alerts(origin(submission), [key])
    return Target(key, known[0] if known else None, _NO_ALIAS)


async def _by_id(desk: Desk, submission: Submission, identifier: str) -> Target:
    incident_id = incident_of(identifier)
    if incident_id is None:
        return Target()
    for known in await desk.members(origin(submission), incident_id):
        if alert_id(known.incident_id, known.key) == identifier.lower():
            return Target(known.key, known)
    return Target()


async def _by_tiny_id(desk: Desk, submission: Submission, identifier: str) -> Target:
    if not (identifier.isascii() and identifier.isdigit() and len(identifier) <= 18):
        return Target()
    known = await desk.members(origin(submission), int(identifier))
    if len(known) > 1:
        problem = f"{len(known)} alerts have this tiny id: name one by id or alias"
        return Target(problem=problem)
    return Target(known[0].key, known[0]) if known else Target()
