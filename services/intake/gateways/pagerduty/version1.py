"""Events of version 1."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from services.intake.gateways.domain.texts import links, load_object, text, texts
from services.intake.gateways.gateway import Submission
from services.intake.gateways.pagerduty.answers import MAX_BODY_BYTES
from services.intake.gateways.pagerduty.events import (
    Action,
    Details,
    Key,
    Lenient,
    Objects,
    Short,
    event_signal,
    plain_problem,
    service_of,
    sorted_details,
)
from services.intake.signals.domain import AlertData, Identity, Signal, Taken
from shared.events.cloudevents import Malformed


class PagerDutyEventV1(BaseModel):
    """An event of version 1."""

    service_key: str = Field(description="an integration key")
    event_type: Action
    incident_key: Key = Field(default="", description="needed to acknowledge and to resolve")
    description: Annotated[str, BeforeValidator(lambda value: text(value, 1024))] = ""
    details: Details = {}
    client: Short = ""
    client_url: Lenient = ""
    contexts: Objects = []


class AcceptedEventV1(BaseModel):
    """The event is committed."""

    status: Literal["success"]
    message: str
    incident_key: str


def read_event(submission: Submission) -> list[Signal]:
    """The signal of one event."""
    try:
        event = PagerDutyEventV1.model_validate(load_object(submission.body, MAX_BODY_BYTES))
    except ValidationError as error:
        raise plain_problem(error) from None
    if event.event_type == "trigger" and not event.description.strip():
        raise Malformed("description", "is missing or blank")
    labels, annotations = sorted_details(event.details)
    severity = event.details.get("severity")
    return [
        event_signal(
            submission,
            action=event.event_type,
            key=event.incident_key,
            key_field="incident_key",
            summary=event.description,
            severity=text(severity, 64) or None,
            service=service_of(event.details),
            labels=texts({"client": event.client} | labels),
            annotations=annotations,
            links=links([event.client_url, *map(_address, event.contexts)]),
            by=event.client,
        )
    ]


def _address(context: Mapping[str, Any]) -> Any:
    return context.get("href") or context.get("src")


def render_event(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, str]:
    """PagerDuty's answer to an event of version 1."""
    (data,) = [one.data for one in signals if isinstance(one.data, AlertData)]
    return {"status": "success", "message": "Event processed", "incident_key": data.key or ""}
