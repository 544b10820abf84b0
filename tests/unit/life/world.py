"""All of Tocsin in memory, with one clock that only the search advances."""

from collections import Counter
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.intake.signals.domain import Alert, Decision
from shared.events import intake
from shared.events.facts import Event
from tests.unit.life.bus import READS, START, Bus
from tests.unit.life.policies import CATALOGUES, INTAKE, TEAMS
from tests.unit.life.response import Escalation
from tests.unit.life.services import Intake, Reporting, Triage, due

_ALL = 1_000_000
_TABLES = (dict, set, list)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A firing alert, the incident that it went into, as which member and until when, and how many
    events intake had published before.
    """

    alert: Alert
    incident_id: UUID
    member: str
    ends_at: datetime | None
    published_before: int


class World:
    def __init__(self) -> None:
        self.now = START
        self.bus = Bus()
        self.intake = Intake(self.bus.publish, INTAKE[0])
        self.triage = Triage(self.bus.publish, CATALOGUES[0])
        self.escalation = Escalation(self.bus.publish, TEAMS[0])
        self.reporting = Reporting()
        self.signals: list[list[Alert]] = []
        self.read = 0
        self.joined: Counter[UUID] = Counter()
        self.firing: dict[tuple[str, str], Accepted] = {}
        self._copies = {service: self._copy(service) for service in ("intake", "triage")}

    def send(self, alerts: list[Alert]) -> None:
        self.signals.append(alerts)
        if self.read == len(self.signals) - 1:
            self.read_signals(1)

    def read_signals(self, count: int = _ALL) -> None:
        for alerts in self.signals[self.read : self.read + count]:
            self.read += 1
            self._take(alerts)

    def _take(self, alerts: list[Alert]) -> None:
        self.pass_time(timedelta(milliseconds=1))
        published = len(self.bus.topics[intake.TOPIC])
        for alert, taken in self.intake.take(alerts, self.now):
            identity = (alert.fingerprint, alert.data.alert or "")
            if alert.data.status == "acknowledged":
                assert taken.decision in (Decision.ACKNOWLEDGED, Decision.NOTHING_WAS_OPEN)
                continue
            if alert.data.status == "resolved":
                self.firing.pop(identity, None)
                if (group := alert.signal.group) and group.all_resolved is not False:
                    self._forget_firing(alert.fingerprint)
                continue
            assert taken.decision in (Decision.OPENED, Decision.JOINED)
            assert taken.subject is not None
            self.joined[taken.subject] += 1
            self.firing[identity] = self._accepted(alert, taken.subject, published)

    def _accepted(self, alert: Alert, incident_id: UUID, published: int) -> Accepted:
        members = self.intake.members
        # Shared incidents know their alerts by identity; the others have one fingerprint.
        shared = (incident_id, alert.identity) in members
        key = alert.identity if shared else alert.data.alert or ""
        return Accepted(alert, incident_id, key, members[incident_id, key].ends_at, published)

    def _forget_firing(self, fingerprint: str) -> None:
        """Others of a group that is over, or that may be: then they end by silence."""
        for place in [place for place in self.firing if place[0] == fingerprint]:
            del self.firing[place]

    def _copy(self, service: str) -> dict[str, Any]:
        rows = {
            name: copy(rows)
            for name, rows in vars(getattr(self, service)).items()
            if isinstance(rows, _TABLES)
        }
        positions = {
            (reader, topic): self.bus.positions[reader, topic]
            for reader, topic in self.bus.positions
            if reader == service
        }
        return {
            "rows": rows,
            "positions": positions,
            "read": self.read,
            "joined": copy(self.joined),
            "firing": copy(self.firing),
        }

    def back_up(self, service: str) -> None:
        self._copies[service] = self._copy(service)

    def restore(self, service: str) -> None:
        """Restore a database from its last copy; the service notices and raises its epoch."""
        saved, restored = self._copies[service], getattr(self, service)
        for name, rows in saved["rows"].items():
            setattr(restored, name, copy(rows))
        for reader, topic in list(self.bus.positions):
            if reader == service:
                self.bus.positions[reader, topic] = saved["positions"].get((reader, topic), 0)
        restored.epoch += 1
        if service == "intake":
            self.read, self.joined, self.firing = (
                saved["read"],
                copy(saved["joined"]),
                copy(saved["firing"]),
            )

    def deliver(self, reader: str, topic: str, count: int = _ALL) -> None:
        if events := self.bus.take(reader, topic, count):
            self.hear(reader, events)

    def hear(self, reader: str, events: list[Event]) -> None:
        match reader:
            case "intake":
                self.intake.on_escalation(events, self.now)
            case "triage":
                self.triage.on_intake(events, self.now)
            case "escalation":
                self.escalation.on_triage(events, self.now)
            case _:
                self.reporting.on_events(events)

    def fire(self, service: str, limit: int = _ALL) -> None:
        target = self.intake if service == "intake" else self.escalation
        target.fire(due(target.timers, self.now, limit), self.now)

    def pass_time(self, span: timedelta) -> None:
        self.now += span

    def quieten(self) -> None:
        """Deliver everything and fire all due timers until the system is idle."""
        while self._busy():
            self.read_signals()
            for reader, topics in READS.items():
                for topic in topics:
                    self.deliver(reader, topic)
            for service in ("intake", "escalation"):
                self.fire(service)

    def _busy(self) -> bool:
        timers = self.intake.timers + self.escalation.timers
        waiting = any(
            self.bus.waiting(reader, topic) for reader, topics in READS.items() for topic in topics
        )
        return (
            waiting
            or self.read < len(self.signals)
            or any(timer.due_at <= self.now for timer in timers)
        )
