"""What a batch of alerts does to incidents: which ones it opens, joins and clears, and the events
about them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.intake.incidents.domain.description import described
from services.intake.incidents.domain.folding import Folding
from services.intake.incidents.domain.grouping import Grouped
from services.intake.incidents.domain.groups import count_unlisted, leave_unlisted, settle_group
from services.intake.incidents.domain.incident import BatchResult, Incident, Member, clear, report
from services.intake.incidents.domain.meeting import Met
from services.intake.incidents.domain.opening import began_at, hold, open_incident
from services.intake.incidents.domain.storms import (
    STORM,
    gathered,
    in_storm,
    near,
    storm_fingerprint,
    storm_incident,
)
from services.intake.incidents.policy import IntakePolicy, Storm
from services.intake.signals.domain import Decision
from shared.events.facts import next_sequence


def fold_alerts(
    items: Sequence[Grouped],
    met: Met,
    numbers: Iterator[int],
    policy: IntakePolicy,
    epoch: int,
    now: datetime,
) -> BatchResult:
    """Fold alerts, in order of arrival, into open incidents; opens and clears incidents as
    needed.
    """
    fold = _Fold(met, numbers, policy, epoch, now)
    for item in items:
        fold.take(item)
    fold.finish()
    return fold.result


class _Fold(Folding):
    """One batch."""

    def take(self, item: Grouped) -> None:
        """One alert."""
        incident, key = self.find(item)
        if item.alert.data.status == "acknowledged":
            self._acknowledge(item, incident, key)
        elif not item.fires:
            others = self.places(item)[1:]
            self._resolve(item, incident, key)
            for other, key in others:
                self._resolve(item, other, key)
        elif incident is None:
            self._open(item)
        elif self._is_full(incident, key, item):
            del self.taking[incident.fingerprint]
            self.keep(replace(incident, takes_more=False))  # events do not carry that
            self._open(item)
        else:
            self._join(item, incident, key)

    def _open(self, item: Grouped) -> None:
        storm, service = self.policy.storm, item.alert.data.service
        opened = self.open_counts.get(service, 0) if service else 0
        if storm and service and opened >= storm.open_incidents:
            self._gather(item, service, storm, opened)
            return
        before = self.episodes.get(item.fingerprint, ())
        incident = open_incident(
            item, next(self.numbers), before, self.policy, self.epoch, self.now
        )
        self._begin(item, incident)
        if storm and service:
            self.open_counts[service] = opened + 1
            if opened + 1 >= near(storm):
                self._warn(item, service, storm, opened + 1)

    def _begin(self, item: Grouped, incident: Incident) -> None:
        incident = self._with_alert(item, incident, item.member)
        incident = count_unlisted(self, incident, item.group)
        self.begin(incident, item.alert.signal.trace)
        if incident.expiry_armed_at:
            self.result.expiry_due.append(incident)
        self.decide(item, Decision.OPENED, incident)

    def _join(self, item: Grouped, incident: Incident, key: str) -> None:
        self.touch(incident, item)
        alert = item.alert
        # One copy: in a storm, copying is what takes the time.
        joined = self._with_alert(
            item,
            incident,
            key,
            signal_count=incident.signal_count + 1,
            last_signal_at=self.now,
            started_at=min(incident.started_at, began_at(alert)),
            fired_by=alert.signal.signal_id,
            fired_sequence=next_sequence(incident.sequence, self.epoch),
            **described(alert, incident, self.policy),
        )
        if incident.fingerprint == item.fingerprint:
            joined = count_unlisted(self, joined, item.group)
        self.keep(joined)
        self.decide(item, Decision.JOINED, joined)

    def _with_alert(self, item: Grouped, incident: Incident, key: str, **changed: Any) -> Incident:
        """The incident in which an alert fires, with other fields that `changed`."""
        ends_at = self._end_of(item)
        known, data = self.member(incident, key), item.alert.data
        # It stays as it came in, whatever policy says meanwhile: by that, its end is found.
        shared = known.identity is not None if known.firing else item.shared
        member = Member(
            firing=True,
            ends_at=ends_at,
            by_policy=ends_at is not None and data.ends_at is None,
            identity=item.identity if shared else None,
            name=data.key,
            content=_content(item) if shared else None,
            acknowledged=known.firing and known.acknowledged,
            started_at=began_at(item.alert),
            changed_at=(known.changed_at if known.firing else None) or self.now,
        )
        return incident.changed(
            expiry_armed_at=self.expiry(ends_at, incident.expiry_armed_at),
            **self.put(incident, key, member, item),
            **changed,
        )

    def _end_of(self, item: Grouped) -> datetime | None:
        """Until when it fires unless it is sent again. It fires by being sent: an end that has
        passed already shows that the sender's clock is slow.
        """
        if ends_at := item.alert.data.ends_at:
            return max(ends_at, self.now)
        silence = item.rule.expire_after or item.alert.signal.expire_after
        return self._exactly(silence) if silence else None

    def _exactly(self, span: timedelta) -> datetime:
        """An end in this time, for which there is no grace."""
        return self.now + span - self.policy.expiry_grace

    def _is_full(self, incident: Incident, key: str, item: Grouped) -> bool:
        """Whether the next incident of its group takes an alert."""
        if incident.fingerprint != item.fingerprint or self.member(incident, key).firing:
            return False
        rule = item.rule
        if rule.window and self.now - incident.opened_at >= rule.window:
            return True
        return rule.max_alerts is not None and incident.alerts_total >= rule.max_alerts

    def _acknowledge(self, item: Grouped, incident: Incident | None, key: str) -> None:
        if incident is None or not self.member(incident, key).firing:
            self.decide(item, Decision.NOTHING_WAS_OPEN, None)
            return
        by = item.alert.data.by or item.alert.signal.origin
        if by != incident.acknowledged_by:  # otherwise no event follows
            self.touch(incident, item)
        known = replace(self.member(incident, key), acknowledged=True)
        changed = self.put(incident, key, known, item)
        incident = replace(incident, acknowledged_by=by, **changed)
        self.keep(incident)
        self.decide(item, Decision.ACKNOWLEDGED, incident)

    def _resolve(self, item: Grouped, incident: Incident | None, key: str) -> None:
        if incident is None:
            self.decide(item, Decision.NOTHING_WAS_OPEN, None)
            return
        known = self.member(incident, key)
        if known.held:
            self.decide(item, Decision.HELD, incident)
            return
        self.touch(incident, item)
        changed = self.put(incident, key, replace(known, firing=False, ends_at=None), item)
        after = replace(incident, last_signal_at=self.now, **changed)
        if incident.fingerprint == item.fingerprint:
            after = settle_group(self, after, item.group)
        else:
            after = leave_unlisted(self, after, self.policy.unlisted_timeout)
        if after.alerts_firing > 0:
            self.keep(after)
            self.decide(item, Decision.ALERT_ENDED, after)
        elif known.firing and not incident.opens_at and (span := hold(incident, item, self.policy)):
            self._hold(item, after, key, known, span)
        else:
            self._clear(item, incident, after)

    def _hold(
        self, item: Grouped, incident: Incident, key: str, known: Member, span: timedelta
    ) -> None:
        """The last alert resolved: the incident clears if that lasts."""
        ends_at = self._exactly(span)
        held = replace(known, ends_at=ends_at, held=True)
        changed = self.put(incident, key, held, item)
        armed_at = self.expiry(ends_at, incident.expiry_armed_at)
        self.keep(replace(incident, expiry_armed_at=armed_at, **changed))
        self.decide(item, Decision.HELD, incident)

    def _clear(self, item: Grouped, incident: Incident, after: Incident) -> None:
        before, _ = self.touched.pop(incident.incident_id)
        cause = item.alert.signal.trace
        if incident.opens_at:  # it was never reported
            cleared = replace(after, status="cleared", cleared_at=self.now, opens_at=None)
        else:
            if before is None:  # it opened in this batch: its report comes before its end
                reported = self.publish(report(incident, self.epoch, self.now, cause))
                after = replace(after, sequence=reported.sequence)
            by = f" by {item.alert.data.by}" if item.alert.data.by else ""
            event = clear(after, f"resolved at the source{by}", self.epoch, self.now, cause)
            cleared = self.publish(event)
        self.end(cleared)
        self.decide(item, Decision.CLEARED, cleared)

    def _warn(self, item: Grouped, service: str, storm: Storm, opened: int) -> None:
        """A service is near its limit: the incident that warns of it stays open while more come."""
        key = self.taking.get(storm_fingerprint(service))
        member = Member(firing=True, ends_at=self._exactly(storm.calm))
        if key is None:
            number = next(self.numbers)
            incident = storm_incident(item, service, number, opened, storm, self.epoch, self.now)
            self.begin(self._with_warning(incident, member), item.alert.signal.trace)
            self.result.expiry_due.append(self.open[incident.incident_id])
        else:
            incident = self.open[key]
            self.touched.setdefault(key, (incident, None))
            self.keep(self._with_warning(incident, member))

    def _with_warning(self, incident: Incident, member: Member) -> Incident:
        change = self.put_unlisted(incident, STORM, member)
        armed_at = self.expiry(member.ends_at, incident.expiry_armed_at)
        firing = incident.alerts_firing + change
        return replace(incident, alerts_firing=firing, expiry_armed_at=armed_at)

    def _gather(self, item: Grouped, service: str, storm: Storm, opened: int) -> None:
        """Count an alert beyond the limit in the incident of the storm."""
        self._warn(item, service, storm, opened)
        key = self.taking[storm_fingerprint(service)]
        self.keep(in_storm(self.open[key], storm))
        self._join(gathered(item, service), self.open[key], item.identity)


def _content(item: Grouped) -> dict[str, Any]:
    """What a member of a shared incident says for itself."""
    data = item.alert.data
    return {
        "origin": item.alert.signal.origin,
        "summary": data.summary,
        "severity": data.severity,
        "service": data.service,
        "labels": data.labels,
        "annotations": data.annotations,
        "links": data.links,
    }
