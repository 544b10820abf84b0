"""What intake knows of alerts, in memory: each alert is an incident of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

from services.intake.gateways.gateway import Desk, HeartbeatDesk, Submission
from services.intake.signals.domain import (
    AlertData,
    Decision,
    Heartbeat,
    HeartbeatRefused,
    HeartbeatSettings,
    Identity,
    KnownAlert,
    Signal,
    Taken,
    Wanted,
)
from shared.events.ids import uuid7
from tests.unit.intake.builders import NOON


class Heartbeats(HeartbeatDesk):
    """Heartbeats by name. One called `policy` is managed by the file."""

    def __init__(self) -> None:
        self.known: dict[str, Heartbeat] = {}

    async def find(self, name: str) -> Heartbeat | None:
        return self.known.get(name)

    async def list(self) -> Sequence[Heartbeat]:
        return [self.known[name] for name in sorted(self.known)]

    async def save(self, name: str, settings: HeartbeatSettings) -> Heartbeat:
        if name == "policy":
            raise HeartbeatRefused("it is in heartbeats.yaml: change it there")
        before = self.known.get(name) or Heartbeat(uuid7(), name, "sender", settings, NOON)
        self.known[name] = replace(before, settings=settings)
        return self.known[name]

    async def delete(self, name: str) -> bool:
        return self.known.pop(name, None) is not None


class Memory(Desk):
    """A desk that remembers what is submitted. `before_submission` runs before each."""

    def __init__(self) -> None:
        self.known: list[KnownAlert] = []
        self.signals: list[Signal] = []
        self._numbers = count(1000)
        self._heartbeats = Heartbeats()
        self.before_submission: Any = lambda: None

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        raise AssertionError("nothing is downloaded")

    @property
    def heartbeats(self) -> Heartbeats:
        return self._heartbeats

    async def submit(self, signals: Sequence[Signal]) -> Mapping[Identity, Taken]:
        action, self.before_submission = self.before_submission, lambda: None
        action()
        return {one.identity: self.take(one) for one in signals}

    async def open_alerts(self, origin: str) -> Sequence[KnownAlert]:
        return await self.lookup(origin, None)

    async def alerts(self, origin: str, keys: Sequence[str]) -> Sequence[KnownAlert]:
        return await self.lookup(origin, keys)

    async def members(self, origin: str, incident: UUID | int) -> Sequence[KnownAlert]:
        return await self.lookup(origin, incident)

    async def lookup(self, origin: str, wanted: Wanted) -> Sequence[KnownAlert]:
        mine = [one for one in self.known if one.origin == origin]
        if wanted is None:
            return [one for one in mine if one.status != "resolved"]
        if isinstance(wanted, UUID | int):
            return [one for one in mine if wanted in (one.incident_id, one.number)]
        newest = {one.key: one for one in mine if one.key in wanted}
        return list(newest.values())

    async def beat(self, name: str, sent: Submission) -> bool:
        found = await self.heartbeats.find(name)
        if found is None:
            return False
        self.heartbeats.known[name] = replace(found, last_beat_at=sent.received_at)
        return True

    def take(self, signal: Signal) -> Taken:
        """What one signal does."""
        self.signals.append(signal)
        assert isinstance(signal.data, AlertData)
        data = signal.data
        place = next(
            (
                place
                for place, one in enumerate(self.known)
                if (one.origin, one.key) == (signal.origin, data.key) and one.status != "resolved"
            ),
            None,
        )
        if data.status == "firing" and place is None:
            self.known.append(self._opened(signal, data))
            return Taken(Decision.OPENED, signal.subject)
        if place is None:
            return Taken(Decision.NOTHING_WAS_OPEN, None)
        before = self.known[place]
        self.known[place] = self._changed(before, signal, data)
        decision = {
            "firing": Decision.JOINED,
            "acknowledged": Decision.ACKNOWLEDGED,
            "resolved": Decision.CLEARED,
        }[data.status]
        return Taken(decision, before.incident_id)

    def _opened(self, signal: Signal, data: AlertData) -> KnownAlert:
        return KnownAlert(
            incident_id=signal.subject,
            number=next(self._numbers),
            origin=signal.origin,
            key=data.key or "",
            status="firing",
            summary=data.summary,
            severity=data.severity or "warning",
            service=data.service,
            labels=data.labels,
            annotations=data.annotations,
            links=data.links,
            count=1,
            started_at=signal.received_at,
            updated_at=signal.received_at,
            ends_at=None,
        )

    def _changed(self, before: KnownAlert, signal: Signal, data: AlertData) -> KnownAlert:
        if data.status != "firing":
            return replace(before, status=data.status, updated_at=signal.received_at)
        return replace(
            before,
            summary=data.summary,
            severity=data.severity or "warning",
            labels=data.labels,
            annotations=data.annotations,
            links=data.links,
            count=before.count + 1,
            updated_at=signal.received_at,
        )
