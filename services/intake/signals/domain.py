"""What publishers may say: the data of the CloudEvents they send, checked, bounded and brought to
one form.
"""

import hashlib
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from shared.events.cloudevents import CloudEvent, Malformed
from shared.events.facts import first_problem
from shared.events.ids import derived_id
from shared.events.intake import Severity
from shared.events.trace_context import TraceContext

_MAX_IDENTITY = 2048  # bytes of origin and id: an index takes no key above 2,704


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    return text


def known_time(moment: datetime | None) -> datetime | None:
    """In UTC. None in the first and the last year of the calendar, which senders write for "unset"
    and "never".
    """
    if moment is None or moment.year in (MINYEAR, MAXYEAR):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _severity_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(value)


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_no_nul)]
SeverityText = Annotated[str, StringConstraints(max_length=64), AfterValidator(_no_nul)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_no_nul)]
LongText = Annotated[str, StringConstraints(max_length=16_384), AfterValidator(_no_nul)]
Labels = Annotated[
    dict[Name, Annotated[str, StringConstraints(max_length=4096), AfterValidator(_no_nul)]],
    Field(max_length=128),
]
Links = Annotated[
    list[Annotated[str, StringConstraints(max_length=2048), AfterValidator(_no_nul)]],
    Field(max_length=20),
]
Moment = Annotated[datetime | None, AfterValidator(known_time)]
# Made by factories and told to the schema: a default that can be changed, pydantic copies deeply
# for every signal.
_EMPTY_OBJECT: dict[str, Any] = {"default": {}}
_EMPTY_ARRAY: dict[str, Any] = {"default": []}


class SignalData(BaseModel):
    """Fields that every kind of signal has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    summary: Text = Field(description="what is wrong or wanted, in one line")
    service: Name | None = Field(default=None, description="name in the service catalogue")
    labels: Labels = Field(default_factory=dict, json_schema_extra=_EMPTY_OBJECT)


class AlertData(SignalData):
    """`tocsin.signals.Alert`: something is wrong (`firing`) or right again (`resolved`)."""

    status: Literal["firing", "resolved"] = "firing"
    severity: Annotated[SeverityText | None, BeforeValidator(_severity_text)] = Field(
        default=None,
        description="critical, error, warning or info; anything else takes the policy's default",
    )
    key: Name | None = Field(
        default=None,
        description="what this is about: signals with one key join one incident; default: service and labels",
    )
    alert: Name | None = Field(default=None, description="one of several alerts under the same key")
    annotations: Labels = Field(default_factory=dict, json_schema_extra=_EMPTY_OBJECT)
    links: Links = Field(default_factory=list, json_schema_extra=_EMPTY_ARRAY)
    starts_at: Moment = None
    ends_at: Moment = Field(default=None, description="firing until then unless sent again")


class RequestData(SignalData):
    """`tocsin.signals.ServiceRequest`: something routine is wanted."""

    requester: Name | None = None
    description: LongText | None = None


class ChangeData(SignalData):
    """`tocsin.signals.Change`: something was changed."""

    kind: Literal["deployment", "rollback", "configuration", "patch"] = "deployment"
    version: Name | None = None
    links: Links = Field(default_factory=list, json_schema_extra=_EMPTY_ARRAY)


KINDS: dict[str, type[AlertData | RequestData | ChangeData]] = {
    "tocsin.signals.Alert": AlertData,
    "tocsin.signals.ServiceRequest": RequestData,
    "tocsin.signals.Change": ChangeData,
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One accepted signal. `origin` and `signal_id` tell it from every other; `sent_at` is the
    sender's clock.
    """

    origin: str
    signal_id: str
    sent_at: datetime
    received_at: datetime
    trace: TraceContext | None
    data: AlertData | RequestData | ChangeData

    @property
    def subject(self) -> UUID:
        """The id of the incident, request or change that this signal makes, if it makes one."""
        return derived_id(self.origin, self.signal_id, "subject")


@dataclass(frozen=True, slots=True)
class Alert:
    """A signal that fires or resolves, with the fingerprint that decides which incident it belongs
    to.
    """

    signal: Signal
    data: AlertData
    fingerprint: str

    @property
    def alert_key(self) -> str:
        """Which of the incident's alerts this is."""
        return self.data.alert or ""

    @property
    def severity(self) -> Severity | None:
        """The sender's severity, if it is one that we know."""
        try:
            return Severity((self.data.severity or "").strip().lower())
        except ValueError:
            return None


def as_alert(signal: Signal) -> Alert | None:
    """The alert in a signal, or None for a request or change."""
    if not isinstance(signal.data, AlertData):
        return None
    return Alert(signal, signal.data, fingerprint(signal.origin, signal.data))


def fingerprint(origin: str, data: AlertData) -> str:
    """The one key function, the same for opening and clearing: the sender's key, else service and
    labels.

    Status, severity and annotations never count, since they differ between an alert and its end,
    nor does the summary unless there is nothing else to go by.
    """
    identity = (
        [data.key] if data.key else [data.service, sorted(data.labels.items()) or data.summary]
    )
    return hashlib.sha256(orjson.dumps([origin, *identity])).hexdigest()[:32]


def read_signal(
    event: CloudEvent, integration: str, received_at: datetime, where: str = ""
) -> Signal:
    """The signal in a CloudEvent. Raises Malformed naming the field (prefixed with `where` in a
    batch).
    """
    model = KINDS.get(event.type)
    if model is None:
        raise Malformed(
            f"{where}type", f"`{event.type}` is not known; send one of {', '.join(KINDS)}"
        )
    try:
        data = model.model_validate(event.data)
    except ValidationError as error:
        raise first_problem(error, f"{where}data") from None
    origin = f"{integration} {event.source}"
    if len(f"{origin}{event.id}".encode()) > _MAX_IDENTITY:
        raise Malformed(f"{where}id", f"is, with the source, longer than {_MAX_IDENTITY} bytes")
    return Signal(
        origin, event.id, known_time(event.time) or received_at, received_at, event.trace, data
    )
