"""An accepted signal: what identifies it, what it is about, and what was decided about it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import orjson
from pydantic import ValidationError

from services.intake.signals.domain.bounds import within_bounds
from services.intake.signals.domain.data import KINDS, AlertData, SignalContent, known_time
from services.intake.signals.domain.reasons import NO_REASONS, Reasons
from shared.events.cloudevents import CloudEvent, Malformed
from shared.events.facts import first_problem
from shared.events.ids import derived_id
from shared.events.intake import Severity
from shared.events.trace_context import TraceContext

_MAX_IDENTITY_BYTES = 2048  # of origin and id: an index takes no key above 2,704

Identity: TypeAlias = tuple[str, str]
"""(origin, signal id)."""


class Decision(StrEnum):
    """What was decided about a signal; the values are those of the API, the log and the metrics."""

    OPENED = "opened"
    JOINED = "joined"
    ACKNOWLEDGED = "acknowledged"
    ALERT_ENDED = "alert ended"
    CLEARED = "cleared"
    NOTHING_WAS_OPEN = "nothing was open"
    LOGGED = "logged"
    REPEAT = "repeat"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Taken:
    """The decision about a signal, and the incident, request or change that it went into. `why`
    says which group or rule led there, where that is not the signal's own key.
    """

    decision: Decision
    subject: UUID | None
    why: str = ""


class Overloaded(Exception):
    """More signals are waiting than this process will hold: the sender should come back later."""


class Refused(Exception):
    """The database would not take a request's signals, whatever else was in the batch."""


class NeedsLocks(Exception):
    """Signals are about open incidents, whose rows have to be locked before anything is written."""


@dataclass(frozen=True, slots=True)
class Group:
    """The state of a whole group of alerts, from a notification that lists some of them.

    `key` is the sender's own name of the group: alerts with one key are one incident, unless policy
    groups them otherwise. `unlisted` is the number of alerts that it leaves out. `all_resolved` is
    None where the notification leaves the state of those open.
    """

    unlisted: int = 0
    all_resolved: bool | None = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """One accepted signal. `origin` and `signal_id` identify it; `sent_at` is by the sender's
    clock.

    `group` is set where the signal came in a notification about a group of alerts, `episode` where
    repeats of it are one request or change. `reasons` say what was done to it before it is decided
    on.
    """

    origin: str
    signal_id: str
    sent_at: datetime
    received_at: datetime
    trace: TraceContext | None
    data: SignalContent
    group: Group | None = None
    episode: str | None = None
    reasons: Reasons = NO_REASONS

    @property
    def integration(self) -> str:
        """The name of the integration that sent it."""
        return self.origin.partition(" ")[0]

    @property
    def identity(self) -> Identity:
        """By which a repeat is recognised."""
        return self.origin, self.signal_id

    @property
    def subject(self) -> UUID:
        """The id of the incident, request or change that this signal makes, if it makes one."""
        return derived_id(self.origin, self.episode or self.signal_id, "subject")


@dataclass(frozen=True, slots=True)
class Alert:
    """A signal that fires or resolves. Its fingerprint decides which incident it belongs to."""

    signal: Signal
    data: AlertData
    fingerprint: str

    @property
    def fires(self) -> bool:
        """Whether something is wrong, rather than right again."""
        return self.data.status == "firing"

    @property
    def alert_key(self) -> str:
        """Which of the incident's alerts this is."""
        return self.data.alert or ""

    @property
    def severity(self) -> Severity | None:
        """The sender's severity, if it is one of ours."""
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
    """What an alert is about, the same for its beginning and its end: the sender's key, else
    service and labels, which may be absent.

    Status, severity, summary and annotations never count, since they differ between the two.
    """
    identity = [data.key] if data.key else [data.service, sorted(data.labels.items())]
    return hashlib.sha256(orjson.dumps([origin, *identity])).hexdigest()[:32]


def alert_key(origin: str, key: str) -> str:
    """What identifies an alert that its sender names by `key`."""
    return hashlib.sha256(orjson.dumps([origin, key, None])).hexdigest()[:32]


def read_signal(
    event: CloudEvent, integration: str, received_at: datetime, where: str = ""
) -> Signal:
    """The signal in a CloudEvent. Raises Malformed, its field prefixed with `where` in a batch."""
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
    if len(f"{origin}{event.id}".encode()) > _MAX_IDENTITY_BYTES:
        reason = f"is, with the source, longer than {_MAX_IDENTITY_BYTES} bytes"
        raise Malformed(f"{where}id", reason)
    sent_at = known_time(event.time) or received_at
    return Signal(origin, event.id, sent_at, received_at, event.trace, within_bounds(data))
