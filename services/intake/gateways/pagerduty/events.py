"""Events and change events of version 2.

Only what an event cannot do without is demanded: an action, the key of what it acknowledges or
resolves, the summary of what it triggers.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from services.intake.gateways.domain.texts import identity, links, load_object, text, texts
from services.intake.gateways.gateway import Submission
from services.intake.gateways.pagerduty.answers import MAX_BODY_BYTES
from services.intake.signals.domain import AlertData, ChangeData, Identity, Signal, Taken
from services.intake.signals.domain.bounds import within_bounds
from services.intake.signals.domain.data import known_time
from shared.events.cloudevents import Malformed
from shared.events.facts import first_problem
from shared.events.ids import uuid7

STATUSES: Mapping[str, Literal["firing", "acknowledged", "resolved"]] = {
    "trigger": "firing",
    "acknowledge": "acknowledged",
    "resolve": "resolved",
}
_MAX_LABEL = 255


def _action(value: Any) -> Any:
    if not isinstance(value, str) or value not in STATUSES:
        raise ValueError("must be `trigger`, `acknowledge` or `resolve`")
    return value


def _time(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        return known_time(read(value))
    except (ValidationError, OverflowError):
        return None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _details(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) or value is None:
        return value or {}
    return {"details": value}


Lenient = Annotated[str, BeforeValidator(text)]
Short = Annotated[str, BeforeValidator(lambda value: text(value, _MAX_LABEL))]
Key = Annotated[str, BeforeValidator(identity)]
Time = Annotated[datetime | None, WrapValidator(_time)]
Action = Annotated[Literal["trigger", "acknowledge", "resolve"], BeforeValidator(_action)]
Details = Annotated[dict[str, Any], BeforeValidator(_details)]
Objects = Annotated[list[dict[str, Any]], BeforeValidator(_objects)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")


class PagerDutyPayload(_Model):
    """What is wrong."""

    summary: Annotated[str, BeforeValidator(lambda value: text(value, 1024))] = ""
    source: Short = ""
    severity: Annotated[str, BeforeValidator(lambda value: text(value, 64))] = Field(
        default="", description="critical, error, warning or info; else the policy's default"
    )
    timestamp: Time = None
    component: Short = ""
    group: Short = ""
    class_: Short = Field(default="", alias="class")
    custom_details: Details = {}


class PagerDutyEvent(_Model):
    """An event of version 2."""

    routing_key: str = Field(description="an integration key")
    event_action: Action
    dedup_key: Key = Field(default="", description="needed to acknowledge and to resolve")
    payload: Annotated[PagerDutyPayload, BeforeValidator(_object)] = PagerDutyPayload()
    client: Short = ""
    client_url: Lenient = ""
    links: Objects = []
    images: Objects = []


class PagerDutyChange(_Model):
    """A change event."""

    routing_key: str = Field(description="an integration key")
    payload: Annotated[PagerDutyPayload, BeforeValidator(_object)] = PagerDutyPayload()
    links: Objects = []


class AcceptedEvent(BaseModel):
    """The event is committed."""

    status: Literal["success"]
    message: str
    dedup_key: str


class AcceptedChange(BaseModel):
    """The change is committed."""

    status: Literal["success"]
    message: str


def read_event(submission: Submission) -> list[Signal]:
    """The signal of one event. PagerDuty's events have no id: each is a new signal, so a repeat
    counts in its incident.
    """
    try:
        event = PagerDutyEvent.model_validate(load_object(submission.body, MAX_BODY_BYTES))
    except ValidationError as error:
        raise plain_problem(error) from None
    payload, details = event.payload, event.payload.custom_details
    triggers = event.event_action == "trigger"
    if triggers and not payload.summary.strip():
        raise Malformed("payload.summary", "is missing or blank")
    labels, annotations = sorted_details(details)
    named = texts(
        {
            "source": payload.source,
            "component": payload.component,
            "group": payload.group,
            "class": payload.class_,
            "client": event.client,
        }
    )
    return [
        event_signal(
            submission,
            action=event.event_action,
            key=event.dedup_key,
            key_field="dedup_key",
            summary=payload.summary,
            severity=payload.severity or None,
            service=service_of(details, payload.component),
            labels=texts({**named, **labels, **named}),  # first, and not replaced by details
            annotations=annotations,
            links=links([event.client_url, *_addresses(event)]),
            by=event.client,
            starts_at=payload.timestamp,
        )
    ]


def event_signal(
    submission: Submission,
    *,
    action: str,
    key: str,
    key_field: str,
    summary: str,
    by: str,
    starts_at: datetime | None = None,
    **data: Any,
) -> Signal:
    """The signal of an event of either version: both give the same key the same alert."""
    if not key and action != "trigger":
        raise Malformed(key_field, f"is missing or blank; it says what to {action}")
    alert = AlertData(
        status=STATUSES[action],
        summary=summary if summary.strip() else f"{action} {key}",
        key=key or uuid4().hex,
        by=by or None,
        starts_at=starts_at,
        **data,
    )
    return Signal(
        origin=f"{submission.integration.name} pagerduty",
        signal_id=str(uuid7()),
        sent_at=starts_at or submission.received_at,
        received_at=submission.received_at,
        trace=submission.trace,
        data=within_bounds(alert),
    )


def read_change(submission: Submission) -> list[Signal]:
    """The signal of one change event."""
    try:
        change = PagerDutyChange.model_validate(load_object(submission.body, MAX_BODY_BYTES))
    except ValidationError as error:
        raise plain_problem(error) from None
    payload = change.payload
    if not payload.summary.strip():
        raise Malformed("payload.summary", "is missing or blank")
    labels, others = sorted_details(payload.custom_details)
    data = ChangeData(
        summary=payload.summary,
        service=service_of(payload.custom_details, payload.component),
        labels=texts({"source": payload.source} | labels | others),
        version=text(payload.custom_details.get("version"), _MAX_LABEL) or None,
        links=links(one.get("href") for one in change.links),
    )
    return [
        Signal(
            origin=f"{submission.integration.name} pagerduty",
            signal_id=str(uuid7()),
            sent_at=payload.timestamp or submission.received_at,
            received_at=submission.received_at,
            trace=submission.trace,
            data=within_bounds(data),
        )
    ]


def sorted_details(details: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Details that policies may match on, which are short and of one line, and the others."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for name, value in texts(details).items():
        is_short = len(value) <= _MAX_LABEL and "\n" not in value
        plain = is_short and not isinstance(details.get(name), dict | list)
        (labels if plain else annotations)[name] = value
    return labels, annotations


def service_of(details: Mapping[str, Any], component: str = "") -> str | None:
    """The service: a detail of that name, else the component."""
    service = details.get("service")
    return (text(service, _MAX_LABEL) if isinstance(service, str) else "") or component or None


def _addresses(event: PagerDutyEvent) -> list[Any]:
    shown = [one.get("href") or one.get("src") for one in event.images]
    return [*(one.get("href") for one in event.links), *shown]


def plain_problem(error: ValidationError) -> Malformed:
    """The first complaint, its field named as the sender does."""
    problem = first_problem(error, "body")
    return Malformed(problem.field.removeprefix("body."), problem.reason)


def render_event(signals: Sequence[Signal], _: Mapping[Identity, Taken]) -> dict[str, str]:
    """PagerDuty's answer to an event: it is the same whether anything was open or not."""
    (data,) = [one.data for one in signals if isinstance(one.data, AlertData)]
    return {"status": "success", "message": "Event processed", "dedup_key": data.key or ""}


def render_change(_: Sequence[Signal], __: Mapping[Identity, Taken]) -> dict[str, str]:
    """PagerDuty's answer to a change event."""
    return {"status": "success", "message": "Change event processed"}
