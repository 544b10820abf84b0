"""What each call changes in an alert, and what those ask for that Tocsin does not do. The fields of
a call are read before its alert is looked up: what is wrong with them is 422 whether it exists or
not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.intake.gateways.domain.texts import text, texts
from services.intake.gateways.gateway import Submission
from services.intake.gateways.opsgenie.alerts import severity_of, tags_of, with_note
from services.intake.gateways.opsgenie.answers import not_processable
from services.intake.gateways.opsgenie.bodies import Fields, required, tags
from services.intake.signals.domain import KnownAlert

Apply = Callable[[KnownAlert], dict[str, Any]]
"""The fields of an alert's data that change."""

Prepare = Callable[[Submission, Fields], Apply]
"""What a call's fields will change. Raises Problem."""

Wish = Callable[[Submission, Fields], str]
"""What a call asks for, as a verb with its object. Raises Problem."""


def note(submission: Submission, fields: Fields) -> Apply:
    """Add a note."""
    written = text(required(fields, "note"))
    return lambda known: {"annotations": _noted(submission, fields, known.annotations, written)}


def add_tags(submission: Submission, fields: Fields) -> Apply:
    """Add tags."""
    added = tags(required(fields, "tags", list))
    return lambda known: _with_tags(submission, fields, known, [*tags_of(known), *added])


def remove_tags(submission: Submission, fields: Fields) -> Apply:
    """Remove tags."""
    removed = set(_separated(fields, "tags"))
    return lambda known: _with_tags(
        submission, fields, known, [tag for tag in tags_of(known) if tag not in removed]
    )


def add_details(submission: Submission, fields: Fields) -> Apply:
    """Add details, or change them."""
    added = texts(required(fields, "details", dict))
    return lambda known: {
        "labels": known.labels | added,
        "annotations": _noted(submission, fields, known.annotations),
    }


def remove_details(submission: Submission, fields: Fields) -> Apply:
    """Remove details."""
    removed = set(_separated(fields, "keys"))
    return lambda known: {
        "labels": {name: one for name, one in known.labels.items() if name not in removed},
        "annotations": _noted(submission, fields, known.annotations),
    }


def message(_: Submission, fields: Fields) -> Apply:
    """Another message."""
    written = text(required(fields, "message"), 1024)
    return lambda _: {"summary": written}


def description(_: Submission, fields: Fields) -> Apply:
    """Another description."""
    written = text(required(fields, "description"))
    return lambda known: {"annotations": known.annotations | {"description": written}}


def priority(_: Submission, fields: Fields) -> Apply:
    """Another priority."""
    written = text(required(fields, "priority"), 64)
    return lambda known: {
        "severity": severity_of(written),
        "annotations": known.annotations | {"priority": written},
    }


def unacknowledge(_: Submission, __: Fields) -> str:
    """Page again."""
    return "take an acknowledgement back"


def snooze(_: Submission, fields: Fields) -> str:
    """Page again later."""
    return f"snooze alerts (until {text(required(fields, 'endTime'), 64)})"


def escalate(_: Submission, fields: Fields) -> str:
    """Page somebody else."""
    return f"escalate on a sender's request (to {_name(fields, 'escalation')})"


def assign(_: Submission, fields: Fields) -> str:
    """Give it to a person."""
    return f"assign alerts on a sender's request (to {_name(fields, 'owner')})"


def add_responder(_: Submission, fields: Fields) -> str:
    """Page somebody else too."""
    return f"add responders on a sender's request ({_name(fields, 'responder')})"


def add_team(_: Submission, fields: Fields) -> str:
    """Page another team too."""
    return f"add teams on a sender's request ({_name(fields, 'team')})"


def custom_action(submission: Submission, _: Fields) -> str:
    """Run an action of the customer's own."""
    return f"run custom actions ({text(submission.path['action'], 255)})"


def _noted(
    submission: Submission, fields: Fields, annotations: Mapping[str, str], written: str = ""
) -> Mapping[str, str]:
    """The annotations with the note of a call, where it has one."""
    if not (noted := written or text(fields.get("note"))):
        return annotations
    user = text(fields.get("user"), 255)
    return with_note(annotations, submission.received_at, user, noted)


def _with_tags(
    submission: Submission, fields: Fields, known: KnownAlert, wanted: list[str]
) -> dict[str, Any]:
    annotations = dict(_noted(submission, fields, known.annotations))
    return {"annotations": annotations | {"tags": ",".join(dict.fromkeys(wanted))}}


def _separated(fields: Fields, name: str) -> list[str]:
    return [one for one in str(required(fields, name)).split(",") if one]


def _name(fields: Fields, field: str) -> str:
    who = required(fields, field, dict)
    names = (who.get("name"), who.get("username"), who.get("id"))
    found = next((one for one in names if isinstance(one, str) and one.strip()), None)
    if found is None:
        raise not_processable(field, "has to have a name, a username or an id")
    return text(found, 255)
