"""An accepted signal: what identifies it, what it is about, and what was decided about it."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import orjson
from pydantic import ValidationError

from services.intake.integrations.domain import Integration
from services.intake.signals.domain import cdevents
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
    HELD = "held"
    CLEARED = "cleared"
    NOTHING_WAS_OPEN = "nothing was open"
    LOGGED = "logged"
    BEAT = "beat"
    UNKNOWN_HEARTBEAT = "unknown heartbeat"
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
    None where the notification leaves the state of those open. Of the signals of one notification,
    one tells the group's state; the others have its key alone (`is_told` is False).
    """

    unlisted: int = 0
    all_resolved: bool | None = False
    key: str = ""
    is_told: bool = True


@dataclass(frozen=True, slots=True)
class Signal:
    """One accepted signal. `origin` and `signal_id` identify it; `sent_at` is by the sender's
    clock.

    `group` is set where the signal came in a notification about a group of alerts; `expire_after`
    where its sender repeats what fires, or never says that it is over; `sender` where its
    integration has settings; `added` are the names of labels that these have added. Repeats of one
    `episode` are one request or change. `reasons` say what was done to it before it is decided on.
    """

    origin: str
    signal_id: str
    sent_at: datetime
    received_at: datetime
    trace: TraceContext | None
    data: SignalContent
    group: Group | None = None
    expire_after: timedelta | None = None
    sender: Integration | None = None
    added: frozenset[str] = frozenset()
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
    """A signal that fires, is acknowledged or resolves. Its fingerprint is the same for all three:
    unless it is grouped with others, it is that of its incident. Its identity is its own: by that
    it is found again, whatever group its sender or the policy puts it into.
    """

    signal: Signal
    data: AlertData
    fingerprint: str
    identity: str

    @property
    def fires(self) -> bool:
        """Whether something is wrong, rather than right again."""
        return self.data.status == "firing"

    @property
    def severity(self) -> Severity | None:
        """The sender's severity, if it is one of ours."""
        try:
            return Severity((self.data.severity or "").strip().lower())
        except ValueError:
            return None


def as_alert(signal: Signal) -> Alert | None:
    """The alert in a signal, or None for one of another kind."""
    if not isinstance(signal.data, AlertData):
        return None
    about = fingerprint(signal.origin, signal.data, signal.added)
    identity = _hash([about, signal.data.alert]) if signal.data.alert else about
    return Alert(signal, signal.data, about, identity)


def fingerprint(origin: str, data: AlertData, added: Collection[str] = ()) -> str:
    """What an alert is about, the same for its beginning and its end: the sender's key, else
    service and labels, which may be absent. Labels that its integration has `added` do not count:
    its settings may change in between.

    Status, severity, summary and annotations never count, since they differ between the two.
    """
    labels = sorted(item for item in data.labels.items() if item[0] not in added)
    return _hash([origin, data.key] if data.key else [origin, data.service, labels])


def alert_key(origin: str, key: str) -> str:
    """The fingerprint of an alert that its sender names by `key`."""
    return _hash([origin, key])


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


def read_signal(
    event: CloudEvent, integration: str, received_at: datetime, where: str = ""
) -> Signal:
    """The signal in a CloudEvent. Raises Malformed, its field prefixed with `where` in a batch."""
    data, source = _content(event, where)
    origin = f"{integration} {source}"
    if len(f"{origin}{event.id}".encode()) > _MAX_IDENTITY_BYTES:
        reason = f"is, with the source, longer than {_MAX_IDENTITY_BYTES} bytes"
        raise Malformed(f"{where}id", reason)
    sent_at = known_time(event.time) or received_at
    return Signal(origin, event.id, sent_at, received_at, event.trace, within_bounds(data))


def _content(event: CloudEvent, where: str) -> tuple[SignalContent, str]:
    """What an event holds, and whose it is."""
    if event.type.startswith(cdevents.PREFIX):
        return cdevents.read_cdevent(event, where)
    model = KINDS.get(event.type)
    if model is None:
        raise Malformed(
            f"{where}type", f"`{event.type}` is not known; send one of {', '.join(KINDS)}"
        )
    try:
        return model.model_validate(event.data), event.source
    except ValidationError as error:
        raise first_problem(error, f"{where}data") from None
