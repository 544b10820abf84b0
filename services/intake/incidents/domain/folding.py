"""The state of a batch while it is folded: incidents as the alerts so far have left them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.incident import (
    NO_MEMBER,
    BatchResult,
    Incident,
    Member,
    PendingEvent,
    Place,
    changes,
    report,
    update,
)
from services.intake.incidents.domain.meeting import Met
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Decision, Taken
from shared.events.text import shorten
from shared.events.trace_context import TraceContext

_MAX_SHOWN = 5
_MAX_SUMMARY = 200
_URGENT = ("severity", "service", "acknowledged_by")


class Folding:
    """Open incidents by id, and what the batch has done so far.

    `taking` are those that take more alerts, by fingerprint. `touched` has, of each incident, how
    it was before the batch (None: it opened in the batch) and the trace of the first signal.
    """

    def __init__(
        self, met: Met, numbers: Iterator[int], policy: IntakePolicy, epoch: int, now: datetime
    ) -> None:
        self.numbers = numbers
        self.policy = policy
        self.epoch = epoch
        self.now = now
        self.result = BatchResult()
        self.open = {one.incident_id: one for one in met.open}
        self.taking = {one.fingerprint: one.incident_id for one in met.open if one.takes_more}
        self.members = dict(met.members)
        self.open_counts = dict(met.open_counts)
        self.episodes = dict(met.episodes)
        self.touched: dict[UUID, tuple[Incident | None, TraceContext | None]] = {}
        self._places: dict[str, dict[Place, None]] = {}
        for place, member in met.members.items():
            self._note(place, member)

    def _note(self, place: Place, member: Member) -> None:
        """Where an alert of an incident with others fires. That is in several where processes took
        it at the same moment, each in another group.
        """
        if member.identity and member.firing:
            self._places.setdefault(member.identity, {})[place] = None
        elif member.identity:
            self._places.get(member.identity, {}).pop(place, None)

    def find(self, item: Grouped) -> tuple[Incident | None, str]:
        """The open incident in which an alert fires, else the one that it would join; and its key
        in there.
        """
        for incident, key in self.places(item):
            return incident, key
        if item.shared:  # since before its policy or its sender grouped it, it may fire on its own
            own, key = self._taking(item.alert.fingerprint), item.alert.data.alert or ""
            if own and self.member(own, key).firing:
                return own, key
        return self._taking(item.fingerprint), item.member

    def places(self, item: Grouped) -> list[tuple[Incident, str]]:
        """The open incidents with others in which an alert fires, and its key in each."""
        found = self._places.get(item.identity, ())
        return [(self.open[one], key) for one, key in found if one in self.open]

    def _taking(self, fingerprint: str) -> Incident | None:
        key = self.taking.get(fingerprint)
        return self.open[key] if key else None

    def member(self, incident: Incident, key: str) -> Member:
        """An alert of an incident as it is known."""
        return self.members.get((incident.incident_id, key), NO_MEMBER)

    def put(self, incident: Incident, key: str, member: Member, item: Grouped) -> dict[str, Any]:
        """Remember an alert of an incident; the fields of the incident that change."""
        place = (incident.incident_id, key)
        before = self.members.get(place, NO_MEMBER)
        changed_at = self._changed_at(before, member)
        if member.changed_at != changed_at:
            member = replace(member, changed_at=changed_at)
        self.members[place] = self.result.members[place] = member
        self._note(place, member)
        firing = incident.alerts_firing + member.alerts_firing - before.alerts_firing
        changed: dict[str, Any] = {"alerts_firing": firing}
        if before is NO_MEMBER:
            changed["alerts_total"] = incident.alerts_total + 1
        if member.identity:
            shown = _shown(incident.alerts, key, member, item.alert.data.summary)
            if shown is not None:
                changed["alerts"] = shown
        return changed

    def _changed_at(self, before: Member, member: Member) -> datetime | None:
        same = before.changed_at and before.firing == member.firing
        return before.changed_at if same else self.now

    def put_unlisted(self, incident: Incident, key: str, member: Member) -> int:
        """Remember alerts that are not listed; by how much the number of firing ones changes."""
        place = (incident.incident_id, key)
        before = self.members.get(place, NO_MEMBER)
        member = replace(member, changed_at=self._changed_at(before, member))
        self.members[place] = self.result.members[place] = member
        return member.alerts_firing - before.alerts_firing

    def firing_members(self, incident: Incident) -> list[tuple[str, Member]]:
        """The alerts that fire in an incident, as far as they were loaded."""
        return [
            (key, member)
            for (incident_id, key), member in self.members.items()
            if incident_id == incident.incident_id and member.firing
        ]

    def expiry(self, ends_at: datetime | None, armed_at: datetime | None) -> datetime | None:
        """When the timer for ended alerts is due, with one more end."""
        if ends_at is None:
            return armed_at
        due = ends_at + self.policy.expiry_grace
        return due if armed_at is None else min(due, armed_at)

    def begin(self, incident: Incident, cause: TraceContext | None) -> None:
        """An incident opens in this batch."""
        self.open[incident.incident_id] = incident
        self.taking[incident.fingerprint] = incident.incident_id
        self.touched[incident.incident_id] = (None, cause)
        self._save(incident, opened=True)

    def touch(self, incident: Incident, item: Grouped) -> None:
        """Remember how it was before the batch."""
        self.touched.setdefault(incident.incident_id, (incident, item.alert.signal.trace))

    def keep(self, incident: Incident) -> None:
        """The incident as it is now; its timer, if that changed."""
        before = self.open[incident.incident_id].expiry_armed_at
        if incident.expiry_armed_at != before:
            self.result.expiry_due.append(incident)
        self.open[incident.incident_id] = incident
        self._save(incident)

    def end(self, incident: Incident) -> None:
        """The incident is over."""
        self._save(incident)
        self.episodes[incident.fingerprint] = incident.episodes
        del self.open[incident.incident_id]
        if self.taking.get(incident.fingerprint) == incident.incident_id:
            del self.taking[incident.fingerprint]

    def decide(self, item: Grouped, decision: Decision, incident: Incident | None) -> None:
        """The decision about a signal: the first, where it is about several incidents."""
        if self.result.decisions and self.result.decisions[-1][0] is item.alert:
            return
        taken = Taken(decision, incident.incident_id if incident else None, item.why)
        self.result.decisions.append((item.alert, taken))

    def publish(self, event: PendingEvent) -> Incident:
        """The incident after an event about it."""
        self.result.events.append(event)
        return event.incident

    def _save(self, incident: Incident, *, opened: bool = False) -> None:
        fresh = opened or incident.incident_id in self.result.opened
        (self.result.opened if fresh else self.result.changed)[incident.incident_id] = incident

    def finish(self) -> None:
        """Publish what the batch changed in the incidents that it left open: at once what matters,
        later what can be coalesced. What opens later says nothing until then.
        """
        for key, (before, cause) in self.touched.items():
            incident = self.open[key]
            if incident.opens_at:
                if before is None:
                    self.result.open_due.append(incident)
            elif before is None:
                self._save(self.publish(report(incident, self.epoch, self.now, cause)))
            elif self._is_urgent(before, incident):
                named = changes(before, incident)
                event = update(incident, named, self.epoch, self.now, cause)
                self._save(self.publish(event))
            else:
                if not before.update_pending:
                    self.result.update_due.append(incident)
                self._save(replace(incident, update_pending=True))

    def _is_urgent(self, before: Incident, after: Incident) -> bool:
        """Whether an update waits no longer: the change may alter the response, or the last event
        is long ago.
        """
        changed = any(getattr(before, name) != getattr(after, name) for name in _URGENT)
        return changed or self.now - before.published_at >= self.policy.update_interval


def _shown(
    alerts: list[dict[str, Any]], key: str, member: Member, summary: str
) -> list[dict[str, Any]] | None:
    """The first few alerts of an incident with this one; None where nothing changes."""
    status = "firing" if member.firing and not member.held else "resolved"
    for place, alert in enumerate(alerts):
        if alert["key"] == key:
            if alert["status"] == status:
                return None
            return [*alerts[:place], {**alert, "status": status}, *alerts[place + 1 :]]
    if len(alerts) >= _MAX_SHOWN or not member.firing:
        return None
    return [*alerts, {"key": key, "status": status, "summary": shorten(summary, _MAX_SUMMARY)}]
