"""What a batch of alerts does to incidents: which it opens, joins and clears, and which events tell
of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.incidents.domain.state import Incident, Member, Outcome, Told, changes, tell
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert
from shared.events.facts import Fact, next_sequence
from shared.events.intake import IncidentCleared, IncidentReported, IncidentUpdated, Severity
from shared.events.trace_context import TraceContext

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def numbers_needed(alerts: Sequence[Alert], open_incidents: Mapping[str, Incident]) -> int:
    """How many new incidents these alerts can open at the most: one an unseen fingerprint, one more
    after each end.
    """
    fired = {alert.fingerprint for alert in alerts if alert.data.status == "firing"}
    ends = sum(
        1 for alert in alerts if alert.data.status == "resolved" and alert.fingerprint in fired
    )
    return len(fired - open_incidents.keys()) + ends


def absorb(
    alerts: Sequence[Alert],
    open_incidents: Mapping[str, Incident],
    members: Mapping[tuple[UUID, str], Member],
    numbers: Iterator[int],
    policy: IntakePolicy,
    epoch: int,
    now: datetime,
) -> Outcome:
    """Take alerts in the order of their arrival into open incidents, opening and clearing as they
    say.
    """
    outcome = Outcome()
    fold = _Fold(dict(open_incidents), dict(members), numbers, policy, epoch, now, outcome)
    for alert in alerts:
        fold.take(alert)
    fold.finish()
    return outcome


@dataclass(slots=True)
class _Fold:
    """The running state of `absorb`: the open incident of each fingerprint as the alerts so far
    have left it.
    """

    open: dict[str, Incident]
    members: dict[tuple[UUID, str], Member]
    numbers: Iterator[int]
    policy: IntakePolicy
    epoch: int
    now: datetime
    outcome: Outcome
    touched: dict[str, tuple[Incident | None, TraceContext | None]] = field(default_factory=dict)

    def take(self, alert: Alert) -> None:
        incident = self.open.get(alert.fingerprint)
        if alert.data.status == "resolved":
            self._resolve(alert, incident)
        elif incident is None:
            self._open(alert)
        else:
            self._join(alert, incident)

    def _open(self, alert: Alert) -> None:
        blank = _blank(alert, next(self.numbers), self.now)
        incident = replace(
            blank, **_described(alert, blank, self.policy), **self._fired(alert, blank)
        )
        self._arm(blank, incident)
        self.touched[alert.fingerprint] = (None, alert.signal.trace)
        self._keep(alert, incident, "opened")

    def _join(self, alert: Alert, incident: Incident) -> None:
        self.touched.setdefault(alert.fingerprint, (incident, alert.signal.trace))
        # One copy: in a storm, copying is what takes the time.
        joined = replace(
            incident,
            signal_count=incident.signal_count + 1,
            last_signal_at=self.now,
            started_at=min(incident.started_at, _started(alert)),
            **_described(alert, incident, self.policy),
            **self._fired(alert, incident),
        )
        self._arm(incident, joined)
        self._keep(alert, joined, "joined")

    def _resolve(self, alert: Alert, incident: Incident | None) -> None:
        if incident is None:
            self.outcome.decisions.append((alert, "nothing was open", None))
            return
        before, _ = self.touched.setdefault(alert.fingerprint, (incident, alert.signal.trace))
        was = self._member(alert, incident)
        self._set_member(alert, incident, Member(firing=False))
        after = replace(
            incident,
            last_signal_at=self.now,
            alerts_firing=incident.alerts_firing - was.firing,
        )
        if after.alerts_firing > 0:
            self._keep(alert, after, "alert ended")
            return
        if before is None:  # it opened in this batch: its report comes before its end
            incident = self._tell(
                incident, IncidentReported(incident=incident.reported()), alert.signal.trace
            )
            after = replace(after, sequence=incident.sequence)
        cleared = replace(after, status="cleared", cleared_at=self.now)
        fact = IncidentCleared(incident=cleared.reported(), reason="resolved at the source")
        self._keep(alert, self._tell(cleared, fact, alert.signal.trace), "cleared")
        del self.open[alert.fingerprint], self.touched[alert.fingerprint]

    def _fired(self, alert: Alert, incident: Incident) -> dict[str, Any]:
        """What changes when the alert fires."""
        was = self._member(alert, incident)
        # It fires by being sent: an end that has passed already shows that the sender's clock is
        # slow.
        ends_at = alert.data.ends_at and max(alert.data.ends_at, self.now)
        self._set_member(alert, incident, Member(firing=True, ends_at=ends_at))
        changed: dict[str, Any] = {
            "alerts_firing": incident.alerts_firing + (not was.firing),
            "fired_by": alert.signal.signal_id,
            "fired_sequence": next_sequence(incident.sequence, self.epoch),
        }
        due = ends_at and ends_at + self.policy.expiry_grace
        if due and (incident.expiry_armed_at is None or due < incident.expiry_armed_at):
            changed["expiry_armed_at"] = due
        return changed

    def _arm(self, before: Incident, after: Incident) -> None:
        if after.expiry_armed_at != before.expiry_armed_at:
            self.outcome.expiry_due.append(after)

    def _member(self, alert: Alert, incident: Incident) -> Member:
        return self.members.get((incident.incident_id, alert.alert_key), Member(firing=False))

    def _set_member(self, alert: Alert, incident: Incident, member: Member) -> None:
        key = (incident.incident_id, alert.alert_key)
        self.members[key] = self.outcome.members[key] = member

    def _keep(self, alert: Alert, incident: Incident, decision: str) -> None:
        self.open[alert.fingerprint] = incident
        self.outcome.decisions.append((alert, decision, incident.incident_id))
        self._save(incident, opened=decision == "opened")

    def _save(self, incident: Incident, *, opened: bool = False) -> None:
        fresh = opened or incident.incident_id in self.outcome.opened
        (self.outcome.opened if fresh else self.outcome.changed)[incident.incident_id] = incident

    def _tell(self, incident: Incident, fact: Fact, cause: TraceContext | None) -> Incident:
        told = tell(incident, self.epoch, self.now)
        self.outcome.told.append(Told(told, fact, cause))
        return told

    def finish(self) -> None:
        """Tell of every incident that the batch left open: at once what matters, later what can be
        coalesced.
        """
        for fingerprint, (before, cause) in self.touched.items():
            incident = self.open[fingerprint]
            if before is None:
                self._save(
                    self._tell(incident, IncidentReported(incident=incident.reported()), cause)
                )
            elif (
                _matters(before, incident)
                or self.now - before.told_at >= self.policy.update_interval
            ):
                fact = IncidentUpdated(
                    incident=incident.reported(), changed=changes(before, incident)
                )
                self._save(self._tell(incident, fact, cause))
            else:
                if not before.held_back:
                    self.outcome.update_due.append(incident)
                self._save(replace(incident, held_back=True))


def _matters(before: Incident, after: Incident) -> bool:
    """Whether the change may alter priority or owner, so that it is told at once."""
    return (before.severity, before.service) != (after.severity, after.service)


def _started(alert: Alert) -> datetime:
    return alert.data.starts_at or alert.signal.sent_at


def _blank(alert: Alert, number: int, now: datetime) -> Incident:
    """The incident that an alert opens, before it is described and fires."""
    return Incident(
        incident_id=alert.signal.subject,
        number=number,
        status="open",
        origin=alert.signal.origin,
        fingerprint=alert.fingerprint,
        summary="",
        severity=Severity.INFO,
        severity_reason=None,
        service=None,
        labels={},
        annotations={},
        links=[],
        signal_count=1,
        alerts_firing=0,
        started_at=_started(alert),
        opened_at=now,
        last_signal_at=now,
        cleared_at=None,
        described_by=["", ""],
        fired_by="",
        fired_sequence=0,
        sequence=0,
        told_at=now,
        expiry_armed_at=None,
        held_back=False,
        traceparent=None,
        tracestate=None,
    )


def _described(alert: Alert, incident: Incident, policy: IntakePolicy) -> dict[str, Any]:
    """What changes in the description: it is that of the newest signal on the sender's clock, with
    the worst severity of all. So the outcome does not depend on the order in which parallel senders
    happened to be served.
    """
    changed: dict[str, Any] = {}
    severity, reason = _severity(alert, policy)
    worst = (
        _RANK[incident.severity],
        incident.severity_reason or "",
    )  # of two that say the same, one that was sent
    if (_RANK[severity], reason or "") < worst or not incident.summary:
        changed |= {"severity": severity, "severity_reason": reason}
    described_by = [alert.signal.sent_at.isoformat(), alert.signal.signal_id]
    if described_by > incident.described_by:
        data = alert.data
        changed |= {
            "summary": data.summary,
            "service": data.service,
            "labels": dict(data.labels),
            "annotations": dict(data.annotations),
            "links": list(data.links),
            "described_by": described_by,
        }
    return changed


def _severity(alert: Alert, policy: IntakePolicy) -> tuple[Severity, str | None]:
    if alert.severity is not None:
        return alert.severity, None
    said = (
        f"severity `{alert.data.severity}` is not known"
        if alert.data.severity
        else "the sender gave no severity"
    )
    return (
        policy.default_severity,
        f"{said}: the policy's default, {policy.default_severity.value}, is taken",
    )
