"""What a beat, the time and a change of its settings do to a heartbeat, and the alert that follows.

A missed heartbeat is an alert like any other: it fires when the beat is overdue, again now and then
while none comes, and is resolved by the next beat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.intake.signals.domain import (
    AlertData,
    Decision,
    Heartbeat,
    HeartbeatData,
    HeartbeatRefused,
    HeartbeatSettings,
    ManagedBy,
    Signal,
    Taken,
)
from shared.events.ids import uuid7
from shared.events.trace_context import TraceContext

ORIGIN = "heartbeat"
"""Of the alerts. It has no space in it, as those of integrations have."""
_AWAY = timedelta(minutes=1)
"""A timer that is so late shows that intake was away, and that beats could not reach it."""
_REPEATED = timedelta(hours=1)
"""How often a missed heartbeat fires again, if it does not beat more seldom."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A heartbeat after something happened to it (None: it is to be deleted), and its alert."""

    heartbeat: Heartbeat | None
    alert: Signal | None = None


def new_heartbeat(
    name: str, settings: HeartbeatSettings, managed_by: ManagedBy, now: datetime
) -> Heartbeat:
    """A heartbeat that is expected from now on."""
    made = Heartbeat(uuid7(), name, managed_by, settings, now)
    return replace(made, due_at=_due(settings, now))


def beat(
    heartbeat: Heartbeat, now: datetime, trace: TraceContext | None
) -> tuple[Heartbeat, Signal | None]:
    """It beats: whatever was missed is over."""
    after = replace(
        heartbeat,
        last_beat_at=now,
        due_at=_due(heartbeat.settings, now),
        missed_at=None,
        extended=False,
    )
    return after, _resolved(heartbeat, "its next beat", now, trace)


def look(heartbeat: Heartbeat, now: datetime) -> Outcome:
    """What is due of it now."""
    settings, due_at = heartbeat.settings, heartbeat.due_at
    if heartbeat.removed:
        return Outcome(None, _resolved(heartbeat, "deletion of the heartbeat", now))
    if not settings.enabled:
        after = replace(heartbeat, due_at=None, missed_at=None)
        return Outcome(after, _resolved(heartbeat, "disabling of the heartbeat", now))
    if due_at is None or due_at > now:
        return Outcome(heartbeat)
    late = now - due_at
    if late > _AWAY and heartbeat.missed_at is None and not heartbeat.extended:
        more = min(settings.every, late) + settings.grace
        return Outcome(replace(heartbeat, due_at=now + more, extended=True))
    missed = replace(
        heartbeat,
        missed_at=heartbeat.missed_at or due_at,
        due_at=now + max(settings.every + settings.grace, _REPEATED),
    )
    return Outcome(missed, _fired(heartbeat, due_at, now))


def change(
    heartbeat: Heartbeat, settings: HeartbeatSettings, managed_by: ManagedBy, now: datetime
) -> Heartbeat:
    """The heartbeat with other settings. Where they change when it is due, it has a whole period
    from now on. Raises HeartbeatRefused for one that a policy file manages.
    """
    _refuse_of_policy(heartbeat, managed_by)
    after = replace(heartbeat, settings=settings, managed_by=managed_by, removed=False)
    if _timing(settings) == _timing(heartbeat.settings) and not heartbeat.removed:
        return after
    if heartbeat.missed_at is not None:
        return replace(after, due_at=now)  # fires again, or ends because it is disabled
    return replace(after, due_at=_due(settings, now), extended=False)


def remove(heartbeat: Heartbeat, managed_by: ManagedBy, now: datetime) -> Heartbeat | None:
    """The heartbeat once it is deleted: None, or one that has still to end its alert. Raises
    HeartbeatRefused for one that a policy file manages.
    """
    _refuse_of_policy(heartbeat, managed_by)
    if heartbeat.missed_at is None:
        return None
    return replace(heartbeat, removed=True, due_at=now)


@dataclass(slots=True)
class Beats:
    """The result of a batch of beats: the heartbeats that they are of, the decision about each, and
    the alerts that follow.
    """

    heartbeats: dict[str, Heartbeat]
    decided: list[tuple[Signal, Taken]] = field(default_factory=list)
    alerts: list[Signal] = field(default_factory=list)


def take_beats(signals: Iterable[Signal], known: Mapping[str, Heartbeat], now: datetime) -> Beats:
    """Take signals that are beats, in order; `known` are the heartbeats of their names."""
    result = Beats(dict(known))
    for signal in signals:
        assert isinstance(signal.data, HeartbeatData)  # noqa: S101 - for the type checker
        heartbeat = _beating(result.heartbeats.get(signal.data.name), signal.data, now)
        if heartbeat is None:
            result.decided.append((signal, Taken(Decision.UNKNOWN_HEARTBEAT, None)))
            continue
        after, alert = beat(heartbeat, now, signal.trace)
        result.heartbeats[after.name] = after
        result.alerts += [alert] if alert else []
        result.decided.append((signal, Taken(Decision.BEAT, after.heartbeat_id)))
    return result


def _beating(heartbeat: Heartbeat | None, data: HeartbeatData, now: datetime) -> Heartbeat | None:
    """The heartbeat that a signal is a beat of, with the settings that it gives; None for one that
    is not known.
    """
    there = heartbeat is not None and not heartbeat.removed
    if data.every_seconds is None:
        return heartbeat if there else None
    given = data.model_dump(include={"summary", "severity", "service", "labels"})
    given |= {"summary": data.summary or None}
    given |= {"every": timedelta(seconds=data.every_seconds)}
    given |= {"grace": timedelta(seconds=data.grace_seconds)}
    if heartbeat is None:
        return new_heartbeat(data.name, HeartbeatSettings(**given), "sender", now)
    if heartbeat.managed_by == "policy":
        return heartbeat if there else None
    settings = heartbeat.settings.model_copy(update=given)
    return change(heartbeat, settings, heartbeat.managed_by, now)


def _refuse_of_policy(heartbeat: Heartbeat, managed_by: ManagedBy) -> None:
    if heartbeat.managed_by == "policy" and managed_by != "policy":
        raise HeartbeatRefused(
            f"the heartbeat `{heartbeat.name}` is in heartbeats.yaml: change it there"
        )


def _due(settings: HeartbeatSettings, now: datetime) -> datetime | None:
    return now + settings.every + settings.grace if settings.enabled else None


def _timing(settings: HeartbeatSettings) -> tuple[object, ...]:
    return settings.every, settings.grace, settings.enabled


def _fired(heartbeat: Heartbeat, due_at: datetime, now: datetime) -> Signal:
    settings, last = heartbeat.settings, heartbeat.last_beat_at
    seen = f"the last was at {_at(last)}" if last else "there has been none yet"
    every = f"expected every {settings.every}, with a grace of {settings.grace}"
    data = AlertData(
        summary=settings.summary or f"Heartbeat {heartbeat.name} was missed",
        severity=settings.severity,
        service=settings.service,
        key=heartbeat.name,
        labels={"heartbeat": heartbeat.name, **settings.labels},
        annotations={"heartbeat": f"{every}; {seen}"}
        | ({"description": settings.description} if settings.description else {}),
        links=settings.links,
        starts_at=heartbeat.missed_at or due_at - settings.grace,
    )
    return _signal(heartbeat, f"{due_at.isoformat()} missed", data, now)


def _resolved(
    heartbeat: Heartbeat, by: str, now: datetime, trace: TraceContext | None = None
) -> Signal | None:
    """The end of its alert, if it has one."""
    if heartbeat.missed_at is None:
        return None
    data = AlertData(
        summary=f"Heartbeat {heartbeat.name} is over: {by}",
        status="resolved",
        by=by,
        key=heartbeat.name,
        service=heartbeat.settings.service,
    )
    return _signal(heartbeat, f"{heartbeat.missed_at.isoformat()} over", data, now, trace)


def _signal(
    heartbeat: Heartbeat,
    what: str,
    data: AlertData,
    now: datetime,
    trace: TraceContext | None = None,
) -> Signal:
    # The same id whenever the same thing happens to it: what is done again is known as a repeat.
    return Signal(ORIGIN, f"{heartbeat.heartbeat_id} {what}", now, now, trace, data)


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
