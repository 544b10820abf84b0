"""What Opsgenie's calls send. A message is all that a new alert needs; what is odd costs itself."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.intake.gateways.domain.texts import identity, load_object, text, texts
from services.intake.gateways.gateway import Submission
from services.intake.gateways.opsgenie.answers import not_processable
from shared.events.cloudevents import MAX_EVENT_BYTES

MAX_BODY_BYTES = MAX_EVENT_BYTES
_MAX_NAME = 255
_KINDS: Mapping[type, str] = {str: "a text", list: "a list", dict: "an object"}

Fields = Mapping[str, Any]
"""The fields of a body."""


def tags(value: Any) -> list[str]:
    """Texts of a list, without commas: those separate tags where they are in one text."""
    listed = value if isinstance(value, list) else []
    return [tag for one in listed if (tag := text(one, _MAX_NAME).replace(",", " ").strip())]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _details(value: Any) -> dict[str, str]:
    return texts(value) if isinstance(value, Mapping) else {}


Lenient = Annotated[str, BeforeValidator(text)]
Name = Annotated[str, BeforeValidator(lambda value: text(value, _MAX_NAME))]
Message = Annotated[str, BeforeValidator(lambda value: text(value, 1024))]
Tags = Annotated[list[str], BeforeValidator(tags)]
Objects = Annotated[list[dict[str, Any]], BeforeValidator(_objects)]


class _Camel(BaseModel):
    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)


class OpsgenieAction(_Camel):
    """What every call may say about itself."""

    user: Name = ""
    note: Lenient = ""
    source: Name = ""


class OpsgenieAlert(OpsgenieAction):
    """A new alert, or one more occurrence of an open one."""

    message: Message = Field(default="", description="what is wrong; at most 1024 characters")
    alias: Annotated[str, BeforeValidator(identity)] = Field(
        default="", description="what deduplicates; without it every call is a new alert"
    )
    description: Lenient = ""
    responders: Objects = []
    visible_to: Objects = []
    actions: Tags = []
    tags: Tags = []
    details: Annotated[dict[str, str], BeforeValidator(_details)] = {}
    entity: Name = ""
    priority: Annotated[str, BeforeValidator(lambda value: text(value, 64))] = Field(
        default="", description="P1 to P5; default P3"
    )


def read_alert(body: bytes) -> OpsgenieAlert:
    """The body of a new alert. Raises Malformed, or Problem where the message is missing."""
    alert = OpsgenieAlert.model_validate(load_object(body, MAX_BODY_BYTES))
    if not alert.message.strip():
        raise not_processable("message", "Message can not be empty.")
    return alert


def fields_of(submission: Submission) -> Fields:
    """What a call that acts says: its body, which may be absent, and the query. Raises
    Malformed.
    """
    body = load_object(submission.body, MAX_BODY_BYTES) if submission.body.strip() else {}
    return dict(submission.query) | body


def required(fields: Fields, name: str, kind: type = str) -> Any:
    """A field that an action cannot do without. Raises Problem."""
    value = fields.get(name)
    if isinstance(value, kind) and (value.strip() if isinstance(value, str) else value):
        return value
    raise not_processable(name, f"is missing or empty; it has to be {_KINDS[kind]}")
