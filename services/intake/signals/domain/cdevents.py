"""CDEvents (https://cdevents.dev): what they say of services is a change, what they say of
incidents is an alert.

A type ends in the version of its schema, which is not looked at: fields that a version lacks are
absent. What identifies an incident is the subject's id and source, as the specification says.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from services.intake.signals.domain.data import AlertData, ChangeData, SignalContent
from shared.events.cloudevents import CloudEvent, Malformed
from shared.events.facts import first_problem
from shared.events.text import shorten

PREFIX = "dev.cdevents."
_TYPE = re.compile(r"dev\.cdevents\.(service|incident)\.([a-z]+)(\..*)?")
_VERSION = re.compile(r"@([^?#]+)")
_MAX_NAME = 255

Kind = Literal["deployment", "rollback", "configuration"]
_CHANGES: Mapping[str, tuple[Kind, str]] = {
    "deployed": ("deployment", "was deployed"),
    "upgraded": ("deployment", "was upgraded"),
    "rolledback": ("rollback", "was rolled back"),
    "published": ("deployment", "was published"),
    "removed": ("configuration", "was removed"),
}
_ALERTS: Mapping[str, Literal["firing", "resolved"]] = {
    "detected": "firing",
    "reported": "firing",
    "resolved": "resolved",
}


def _text(value: Any) -> str:
    """A text without NUL; empty for anything else."""
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""


def _object(value: Any) -> Any:
    return value if isinstance(value, Mapping) else {}


Id = Annotated[str, StringConstraints(min_length=1, max_length=1024, strip_whitespace=True)]
Lenient = Annotated[str, BeforeValidator(_text)]


class _Referred(BaseModel):
    """Something else that an event names: an environment, a service."""

    id: Lenient = ""


Referred = Annotated[_Referred, BeforeValidator(_object)]


class _Content(BaseModel):
    model_config = ConfigDict(extra="ignore")

    environment: Referred = _Referred()
    service: Referred = _Referred()
    artifactId: Lenient = ""
    description: Lenient = ""
    ticketURI: Lenient = ""


class _Subject(BaseModel):
    id: Id
    source: Lenient = ""
    content: Annotated[_Content, BeforeValidator(_object)] = _Content()


class _CDEvent(BaseModel):
    subject: _Subject


def is_taken(event_type: str) -> bool:
    """Whether a CDEvent of this type is a change or an alert; others say nothing to intake."""
    return _reader(event_type) is not None


def read_cdevent(event: CloudEvent, where: str = "") -> tuple[SignalContent, str]:
    """The change or the alert in a CloudEvent that holds a CDEvent, and whose it is. Raises
    Malformed, its field prefixed with `where`.
    """
    reader = _reader(event.type)
    if reader is None:
        known = [f"service.{name}" for name in _CHANGES] + [f"incident.{name}" for name in _ALERTS]
        reason = f"`{event.type}` is not taken; of CDEvents these are: {', '.join(known)}"
        raise Malformed(f"{where}type", reason)
    try:
        subject = _CDEvent.model_validate(event.data).subject
    except ValidationError as error:
        raise first_problem(error, f"{where}data") from None
    return reader(subject), subject.source[:1024] or event.source


def _reader(event_type: str) -> Callable[[_Subject], SignalContent] | None:
    match = _TYPE.fullmatch(event_type)
    subject, predicate = (match[1], match[2]) if match else ("", "")
    if subject == "service" and predicate in _CHANGES:
        return lambda found: _change(found, predicate)
    if subject == "incident" and predicate in _ALERTS:
        return lambda found: _alert(found, predicate)
    return None


def _change(subject: _Subject, predicate: str) -> ChangeData:
    content, service = subject.content, _name(subject.id)
    kind, what = _CHANGES[predicate]
    version = _VERSION.search(content.artifactId)
    to = f": {content.artifactId}" if content.artifactId else ""
    place = f" in {content.environment.id}" if content.environment.id else ""
    return ChangeData(
        summary=shorten(f"{service} {what}{place}{to}", 1024),
        service=service,
        kind=kind,
        version=_name(_text(unquote(version[1]))) or None if version else None,
        labels=_labels(content),
    )


def _alert(subject: _Subject, predicate: str) -> AlertData:
    content, key = subject.content, _name(subject.id)
    return AlertData(
        status=_ALERTS[predicate],
        summary=shorten(content.description or f"incident {key}", 1024),
        service=_name(content.service.id) or None,
        key=key,
        labels=_labels(content),
        links=[content.ticketURI] if 0 < len(content.ticketURI) <= 2048 else [],
    )


def _labels(content: _Content) -> dict[str, str]:
    named = {"environment": content.environment.id, "artifact": content.artifactId}
    return {name: shorten(text, 4096) for name, text in named.items() if text}


def _name(text: str) -> str:
    return shorten(text.replace("\x00", ""), _MAX_NAME)
