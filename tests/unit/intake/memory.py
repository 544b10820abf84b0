"""What intake knows of alerts, in memory: each alert is an incident of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

from services.intake.gateways.gateway import Desk
from services.intake.signals.domain import (
    AlertData,
    Decision,
    Identity,
    KnownAlert,
    Signal,
    Taken,
    Wanted,
)


class Memory(Desk):
    """A desk that remembers what is submitted. `before_submission` runs before each."""

    def __init__(self) -> None:
        self.known: list[KnownAlert] = []
        self.signals: list[Signal] = []
        self._numbers = count(1000)
        self.before_submission: Any = lambda: None

    async def download(self, url: str, *, lasting: bool = False) -> bytes:
        raise AssertionError("nothing is downloaded")

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
