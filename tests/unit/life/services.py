"""The services in memory: the real decisions, with dicts for tables and lists for timers. Each
method is a transaction.

The code around a decision (which rows it gets, what is saved) follows the handlers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count, islice
from uuid import UUID

from services.intake.incidents.domain.ending import (
    Ended,
    close,
    expire,
    flush_update,
    has_newer_signal,
    report_held_back,
)
from services.intake.incidents.domain.fold import fold_alerts
from services.intake.incidents.domain.grouping import Grouped, group_alerts
from services.intake.incidents.domain.incident import Incident, Member, PendingEvent
from services.intake.incidents.domain.meeting import (
    Met,
    fingerprints_of,
    numbers_needed,
    wanted_members,
)
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert, Taken
from services.reporting.timeline.domain import state as reporting
from services.triage.catalogue.policy import Catalogue
from services.triage.priority.domain import State, coalesce, decide
from shared.events.escalation import IncidentResolved
from shared.events.facts import Event, new_event, next_sequence
from shared.policy.files import PolicyFile
from shared.postgres.timers import Timer

OPEN, UPDATE, EXPIRY = "open", "update", "expiry"
Publish = Callable[[Event], None]


class Intake:
    def __init__(self, publish: Publish, policy: IntakePolicy) -> None:
        self.publish, self.policy, self.epoch = publish, policy, 0
        self.incidents: dict[UUID, Incident] = {}
        self.members: dict[tuple[UUID, str], Member] = {}
        self.known: set[str] = set()
        self.timers: list[Timer] = []
        self.successors: dict[UUID, UUID] = {}
        self.early_resolutions: set[UUID] = set()
        self._numbers = count(1000)

    def open(self) -> list[Incident]:
        return [incident for incident in self.incidents.values() if incident.status == "open"]

    def take(self, alerts: Sequence[Alert], now: datetime) -> list[tuple[Alert, Taken]]:
        """The decision on each alert that is no repeat."""
        fresh = list({a.signal.signal_id: a for a in alerts if not self._is_known(a)}.values())
        items = group_alerts(fresh, self.policy)
        met = self._meet(items)
        numbers = islice(self._numbers, numbers_needed(items, met, self.policy))
        result = fold_alerts(items, met, numbers, self.policy, self.epoch, now)
        self._tell(result.events, now)
        self.incidents |= result.changed
        self._insert(result.opened.values())
        self.members |= result.members
        for incident in result.open_due:
            self._arm(OPEN, incident, incident.opens_at)
        for incident in result.update_due:
            self._arm(UPDATE, incident, incident.published_at + self.policy.update_interval)
        for incident in result.expiry_due:
            self._arm(EXPIRY, incident, incident.expiry_armed_at)
        self.known |= {alert.signal.signal_id for alert in fresh}
        return result.decisions

    def _meet(self, items: Sequence[Grouped]) -> Met:
        """Incidents of the alerts' fingerprints, and those in which they fire."""
        prints = fingerprints_of(items)
        identities = {item.identity for item in items}
        fires_in = {
            key[0] for key, m in self.members.items() if m.firing and m.identity in identities
        }
        opened = [
            one
            for one in self.open()
            if (one.fingerprint in prints and one.takes_more) or one.incident_id in fires_in
        ]
        keys = {one.incident_id for one in opened}
        named, groups = wanted_members(items, opened)
        members = {
            key: member
            for key, member in self.members.items()
            if key in named
            or (key[0] in groups and member.firing)
            or (key[0] in keys and member.firing and member.identity in identities)
        }
        over = [one for one in self.incidents.values() if one.status != "open"]
        episodes = {
            one.fingerprint: one.episodes for one in sorted(over, key=lambda one: one.opened_at)
        }
        return Met(
            opened, members, episodes, Counter(one.service for one in self.open() if one.service)
        )

    def _is_known(self, alert: Alert) -> bool:
        subject = alert.signal.subject
        return (
            alert.signal.signal_id in self.known
            or subject in self.incidents
            or subject in self.early_resolutions
        )

    def on_escalation(self, events: Sequence[Event], now: datetime) -> None:
        resolved = [
            event.data.response for event in events if isinstance(event.data, IncidentResolved)
        ]
        seen = {response.incident_id: response.intake_sequence for response in resolved}
        incidents = {key: self.incidents[key] for key in seen if key in self.incidents}
        self.early_resolutions |= seen.keys() - incidents.keys()
        numbers = islice(
            self._numbers,
            sum(has_newer_signal(incident, seen[key]) for key, incident in incidents.items()),
        )
        for key, incident in incidents.items():
            early = self.early_resolutions
            self.incidents[key], told = close(incident, seen[key], numbers, self.epoch, now, early)
            if told is None:
                continue
            self._tell([told], now)
            self._insert([told.incident])
            fresh = self.successors[key] = told.incident.incident_id
            firing = {
                name: m for (owner, name), m in self.members.items() if owner == key and m.firing
            }
            self.members |= {(fresh, name): member for name, member in firing.items()}
            self._arm(EXPIRY, told.incident, now)
        for place, member in self.members.items():
            if place[0] in incidents and member.firing and member.identity:
                self.members[place] = replace(member, firing=False)

    def fire(self, timers: Sequence[Timer], now: datetime) -> None:
        for key in {timer.subject for timer in timers if timer.kind == EXPIRY}:
            if self.incidents[key].status != "open":
                continue
            ended = self._end_expired(key, now - self.policy.expiry_grace)
            self.incidents[key], news = expire(
                self.incidents[key], ended, self.policy, self.epoch, now
            )
            self._tell([news] if news else [], now)
            self._arm(EXPIRY, self.incidents[key], self.incidents[key].expiry_armed_at)
        for kind, say in ((OPEN, report_held_back), (UPDATE, flush_update)):
            for key in {timer.subject for timer in timers if timer.kind == kind}:
                if event := say(self.incidents[key], self.epoch, now):
                    self.incidents[key] = event.incident
                    self._tell([event], now)

    def _end_expired(self, key: UUID, before: datetime) -> Ended:
        ends = {
            k: m.ends_at for k, m in self.members.items() if k[0] == key and m.firing and m.ends_at
        }
        over = [member for member, ends_at in ends.items() if ends_at <= before]
        ended = [self.members[member] for member in over]
        self.members |= {member: replace(self.members[member], firing=False) for member in over}
        return Ended(
            sum(member.stands_for for member in ended),
            {key for _, key in over},
            were_held=bool(ended) and all(member.held for member in ended),
            next_end=min((ends for ends in ends.values() if ends > before), default=None),
        )

    def _insert(self, incidents: Iterable[Incident]) -> None:
        for incident in incidents:
            assert incident.incident_id not in self.incidents, "an id is given once"
            self.incidents[incident.incident_id] = incident

    def _arm(self, kind: str, incident: Incident, due_at: datetime | None) -> None:
        if due_at:
            self.timers.append(Timer(kind, incident.incident_id, due_at))

    def _tell(self, told: Iterable[PendingEvent], now: datetime) -> None:
        for item in told:
            self.publish(
                new_event(item.incident.incident_id, item.incident.sequence, now, item.fact, None)
            )


class Triage:
    def __init__(self, publish: Publish, catalogue: PolicyFile[Catalogue]) -> None:
        self.publish, self.catalogue, self.epoch = publish, catalogue, 0
        self.states: dict[UUID, State] = {}

    def on_intake(self, events: Sequence[Event], now: datetime) -> None:
        for news in coalesce(events):
            subject = news.newest.subject
            state = self.states.get(subject)
            fact = decide(state, news.fact, news.newest.sequence, self.catalogue)
            if fact is None:
                continue
            sequence = next_sequence(state.sequence if state else 0, self.epoch)
            self.publish(new_event(subject, sequence, now, fact, None))
            self.states[subject] = State(fact.triage, sequence)


class Reporting:
    def __init__(self) -> None:
        self.incidents: dict[UUID, reporting.Incident] = {}

    def on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            before = self.incidents.get(event.subject) or reporting.Incident(event.subject)
            self.incidents[event.subject] = reporting.apply_event(before, event)


def due(timers: list[Timer], now: datetime, limit: int) -> list[Timer]:
    """Take due timers, earliest first."""
    taken = sorted(
        (timer for timer in timers if timer.due_at <= now), key=lambda timer: timer.due_at
    )[:limit]
    for timer in taken:
        timers.remove(timer)
    return taken
