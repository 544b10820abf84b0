"""What a batch of alerts does to incidents: which ones it opens, joins and clears, and the events
about them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from services.intake.incidents.domain.description import assess, described, description
from services.intake.incidents.domain.incident import (
    NO_MEMBER,
    UNLISTED,
    BatchResult,
    Incident,
    Member,
    PendingEvent,
    changes,
    clear,
    report,
    update,
)
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert, Decision, Group, Taken
from shared.events.facts import next_sequence
from shared.events.trace_context import TraceContext


def numbers_needed(alerts: Sequence[Alert], open_incidents: Mapping[str, Incident]) -> int:
    """Upper bound of new incidents: one per new fingerprint plus one per resolve."""
    fired = {alert.fingerprint for alert in alerts if alert.fires}
    resolves = sum(1 for alert in alerts if not alert.fires and alert.fingerprint in fired)
    return len(fired - open_incidents.keys()) + resolves


def fold_alerts(
    alerts: Sequence[Alert],
    open_incidents: Mapping[str, Incident],
    members: Mapping[tuple[UUID, str], Member],
    numbers: Iterator[int],
    policy: IntakePolicy,
    epoch: int,
    now: datetime,
) -> BatchResult:
    """Fold alerts, in order of arrival, into open incidents; opens and clears incidents as needed.

    `members`: known alerts of open incidents, all that fire where a signal is about its group.
    """
    result = BatchResult()
    fold = _Fold(dict(open_incidents), dict(members), numbers, policy, epoch, now, result)
    for alert in alerts:
        fold.take(alert)
    fold.finish()
    return result


@dataclass(slots=True)
class _Fold:
    """The open incident of each fingerprint as the alerts so far have left it.

    `touched` has, of each fingerprint, the incident before the batch (None: it opened in the batch)
    and the trace of the first signal.
    """

    open: dict[str, Incident]
    members: dict[tuple[UUID, str], Member]
    numbers: Iterator[int]
    policy: IntakePolicy
    epoch: int
    now: datetime
    result: BatchResult
    touched: dict[str, tuple[Incident | None, TraceContext | None]] = field(default_factory=dict)

    def take(self, alert: Alert) -> None:
        incident = self.open.get(alert.fingerprint)
        if not alert.fires:
            self._resolve(alert, incident)
        elif incident is None:
            self._open(alert)
        else:
            self._join(alert, incident)

    def _open(self, alert: Alert) -> None:
        severity, reason = assess(alert, self.policy)
        ends_at = self._end_of(alert)
        incident = Incident(
            incident_id=alert.signal.subject,
            number=next(self.numbers),
            status="open",
            origin=alert.signal.origin,
            fingerprint=alert.fingerprint,
            severity=severity,
            severity_reason=reason,
            **description(alert),
            signal_count=1,
            alerts_firing=1,
            started_at=_started_at(alert),
            opened_at=self.now,
            last_signal_at=self.now,
            cleared_at=None,
            fired_by=alert.signal.signal_id,
            fired_sequence=next_sequence(0, self.epoch),
            sequence=0,
            published_at=self.now,
            expiry_armed_at=self._expiry(ends_at, None),
            update_pending=False,
            traceparent=None,
            tracestate=None,
        )
        self._set_member(incident, alert.alert_key, Member(firing=True, ends_at=ends_at))
        incident = self._count_unlisted(incident, alert.signal.group)
        if incident.expiry_armed_at:
            self.result.expiry_due.append(incident)
        self.touched[alert.fingerprint] = (None, alert.signal.trace)
        self._keep(alert, incident, Decision.OPENED)

    def _join(self, alert: Alert, incident: Incident) -> None:
        self.touched.setdefault(alert.fingerprint, (incident, alert.signal.trace))
        ends_at = self._end_of(alert)
        firing = self._set_member(incident, alert.alert_key, Member(firing=True, ends_at=ends_at))
        # One copy: in a storm, copying is what takes the time.
        joined = replace(
            incident,
            signal_count=incident.signal_count + 1,
            last_signal_at=self.now,
            started_at=min(incident.started_at, _started_at(alert)),
            alerts_firing=incident.alerts_firing + firing,
            fired_by=alert.signal.signal_id,
            fired_sequence=next_sequence(incident.sequence, self.epoch),
            expiry_armed_at=self._expiry(ends_at, incident.expiry_armed_at),
            **described(alert, incident, self.policy),
        )
        joined = self._count_unlisted(joined, alert.signal.group)
        self._arm(incident, joined)
        self._keep(alert, joined, Decision.JOINED)

    def _resolve(self, alert: Alert, incident: Incident | None) -> None:
        if incident is None:
            taken = Taken(Decision.NOTHING_WAS_OPEN, None)
            self.result.decisions.append((alert, taken))
            return
        self.touched.setdefault(alert.fingerprint, (incident, alert.signal.trace))
        ended = self._set_member(incident, alert.alert_key, Member(firing=False))
        after = replace(
            incident, last_signal_at=self.now, alerts_firing=incident.alerts_firing + ended
        )
        after = self._settle_group(after, alert.signal.group)
        if after.alerts_firing > 0:
            self._arm(incident, after)
            self._keep(alert, after, Decision.ALERT_ENDED)
        else:
            self._clear(alert, incident, after)

    def _clear(self, alert: Alert, incident: Incident, after: Incident) -> None:
        before, _ = self.touched.pop(alert.fingerprint)
        cause = alert.signal.trace
        if before is None:  # it opened in this batch: its report comes before its end
            reported = self._publish(report(incident, self.epoch, self.now, cause))
            after = replace(after, sequence=reported.sequence)
        by = f" by {alert.data.by}" if alert.data.by else ""
        event = clear(after, f"resolved at the source{by}", self.epoch, self.now, cause)
        self._keep(alert, self._publish(event), Decision.CLEARED)
        del self.open[alert.fingerprint]

    def _count_unlisted(self, incident: Incident, group: Group | None) -> Incident:
        """The incident with the unlisted alerts of a notification, which fire as long as any of the
        group does.
        """
        if group is None or group.all_resolved:
            return incident
        known = self.members.get((incident.incident_id, UNLISTED), NO_MEMBER)
        if not group.unlisted and not known.firing:
            return incident
        ends_at = self.now + self.policy.unlisted_timeout if group.all_resolved is None else None
        member = Member(bool(group.unlisted), ends_at, max(group.unlisted, 1))
        change = self._set_member(incident, UNLISTED, member)
        armed = self._expiry(ends_at, incident.expiry_armed_at)
        return replace(
            incident, alerts_firing=incident.alerts_firing + change, expiry_armed_at=armed
        )

    def _settle_group(self, incident: Incident, group: Group | None) -> Incident:
        """The incident after a resolved alert: unlisted ones resolve or expire with their group."""
        if group is None:
            return incident
        incident = self._count_unlisted(incident, group)
        if group.all_resolved is False:
            return incident
        ends_at = self.now + self.policy.unlisted_timeout
        for key, member in self._firing_members(incident):
            if group.all_resolved:
                change = self._set_member(incident, key, replace(member, firing=False))
                incident = replace(incident, alerts_firing=incident.alerts_firing + change)
            elif member.ends_at is None:
                self._set_member(incident, key, replace(member, ends_at=ends_at))
        if group.all_resolved is None and incident.alerts_firing > 0:
            armed = self._expiry(ends_at, incident.expiry_armed_at)
            incident = replace(incident, expiry_armed_at=armed)
        return incident

    def _firing_members(self, incident: Incident) -> list[tuple[str, Member]]:
        return [
            (key, member)
            for (incident_id, key), member in self.members.items()
            if incident_id == incident.incident_id and member.firing
        ]

    def _set_member(self, incident: Incident, key: str, member: Member) -> int:
        """Remember an alert of an incident; by how much the number of firing alerts changes."""
        place = (incident.incident_id, key)
        before = self.members.get(place, NO_MEMBER)
        self.members[place] = self.result.members[place] = member
        return member.alerts_firing - before.alerts_firing

    def _end_of(self, alert: Alert) -> datetime | None:
        """Until when it fires unless it is sent again. It fires by being sent: an end that has
        passed already shows that the sender's clock is slow.
        """
        return alert.data.ends_at and max(alert.data.ends_at, self.now)

    def _expiry(self, ends_at: datetime | None, armed_at: datetime | None) -> datetime | None:
        """When the timer for ended alerts is due, with one more end."""
        if ends_at is None:
            return armed_at
        due = ends_at + self.policy.expiry_grace
        return due if armed_at is None else min(due, armed_at)

    def _arm(self, before: Incident, after: Incident) -> None:
        if after.expiry_armed_at != before.expiry_armed_at:
            self.result.expiry_due.append(after)

    def _keep(self, alert: Alert, incident: Incident, decision: Decision) -> None:
        self.open[alert.fingerprint] = incident
        self.result.decisions.append((alert, Taken(decision, incident.incident_id)))
        self._save(incident, opened=decision is Decision.OPENED)

    def _save(self, incident: Incident, *, opened: bool = False) -> None:
        fresh = opened or incident.incident_id in self.result.opened
        (self.result.opened if fresh else self.result.changed)[incident.incident_id] = incident

    def _publish(self, event: PendingEvent) -> Incident:
        self.result.events.append(event)
        return event.incident

    def finish(self) -> None:
        """Publish what the batch changed in the incidents that it left open: at once what matters,
        later what can be coalesced.
        """
        for fingerprint, (before, cause) in self.touched.items():
            incident = self.open[fingerprint]
            if before is None:
                self._save(self._publish(report(incident, self.epoch, self.now, cause)))
            elif self._is_urgent(before, incident):
                named = changes(before, incident)
                event = update(incident, named, self.epoch, self.now, cause)
                self._save(self._publish(event))
            else:
                if not before.update_pending:
                    self.result.update_due.append(incident)
                self._save(replace(incident, update_pending=True))

    def _is_urgent(self, before: Incident, after: Incident) -> bool:
        """Whether an update waits no longer: the change may alter priority or owner, or the last
        event is long ago.
        """
        changed = (before.severity, before.service) != (after.severity, after.service)
        return changed or self.now - before.published_at >= self.policy.update_interval


def _started_at(alert: Alert) -> datetime:
    return alert.data.starts_at or alert.signal.sent_at
