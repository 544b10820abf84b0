"""Invariants of every life of every incident: after each step, and once the system is idle."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from uuid import UUID

from services.intake.incidents.domain.ending import successor
from services.reporting.timeline.domain.state import summarise
from shared.events import escalation, intake, triage
from shared.events.facts import Event
from tests.unit.life.policies import INTAKE
from tests.unit.life.services import EXPIRY, UPDATE
from tests.unit.life.world import Accepted, World

_MAX_GRACE = max(policy.expiry_grace for policy in INTAKE)
_RANK = {"triggered": 0, "acknowledged": 1, "resolved": 2}
_ONCE = (
    intake.IncidentReported,
    intake.IncidentCleared,
    triage.IncidentTriaged,
    escalation.ResponseStarted,
    escalation.IncidentAcknowledged,
    escalation.IncidentResolved,
)


class Witness:
    """Reads all events and remembers what must not be published again."""

    def __init__(self) -> None:
        self._sequences: dict[tuple[str, UUID], int] = {}
        self._ranks: dict[UUID, int] = {}
        self._published: dict[str, set[Hashable]] = defaultdict(set)
        self._reports: dict[UUID, intake.ReportedIncident] = {}

    def forget(self, service: str) -> None:
        """After a restore a service may publish again what it has forgotten, and triage passes on
        what intake publishes.
        """
        self._published[triage.TOPIC].clear()
        if service == "intake":
            self._published[intake.TOPIC].clear()
            self._reports.clear()

    def read(self, event: Event) -> None:
        producer = (event.data.topic, event.subject)
        assert event.sequence > self._sequences.get(producer, 0), "sequences increase"
        self._sequences[producer] = event.sequence
        for decision in _decisions(event):
            assert decision not in self._published[event.data.topic], f"published twice: {decision}"
            self._published[event.data.topic].add(decision)
        report, response = (
            getattr(event.data, "incident", None),
            getattr(event.data, "response", None),
        )
        if isinstance(report, intake.ReportedIncident):
            assert report != self._reports.get(event.subject), "an update has changed something"
            self._reports[event.subject] = report
        if isinstance(response, escalation.Response):
            assert _RANK[response.status] >= self._ranks.get(event.subject, 0), (
                "a response never goes back"
            )
            self._ranks[event.subject] = _RANK[response.status]


def _decisions(event: Event) -> list[Hashable]:
    """The decisions in an event that must be published once."""
    fact, subject = event.data, event.subject
    decisions: list[Hashable] = [(type(fact), subject)] if isinstance(fact, _ONCE) else []
    match fact:
        case escalation.IncidentEscalated(paged=paged, response=response) if paged:
            decisions.append(("step", subject, response.round, response.step))
        case escalation.PageSent(page=page):
            decisions.append(("sent", page.attempt_key))
        case escalation.PageFailed(page=page):
            decisions.append(("failed", page.attempt_key, page.attempts))
    if fact.topic == triage.TOPIC:
        seen = fact.triage.intake_sequence  # type: ignore[attr-defined]
        decisions.append(("triaged", subject, seen))
    return decisions


def check_always(world: World) -> None:
    _check_intake(world)
    _check_responses(world)
    orders = [row.order for row in world.escalation.ledger.values()]
    pages = {
        (order.incident_id, order.round, order.step, order.user, order.method) for order in orders
    }
    assert len(pages) == len(orders) == len({order.attempt_key for order in orders}), (
        "each page has one attempt key"
    )


def _check_intake(world: World) -> None:
    service = world.intake
    opened = Counter(one.fingerprint for one in service.open() if one.takes_more)
    assert not opened or max(opened.values()) == 1, (
        "one open incident for each fingerprint takes alerts"
    )
    numbers = {incident.number for incident in service.incidents.values()}
    assert len(numbers) == len(service.incidents), "each incident has its own number"
    followers = Counter(service.successors.values())
    latest_first = sorted(service.timers, key=lambda timer: timer.due_at, reverse=True)
    timers = {(timer.subject, timer.kind): timer.due_at for timer in latest_first}
    for key, incident in service.incidents.items():
        assert incident.signal_count == world.joined[key] + followers[key], (
            "each signal counts once"
        )
        firing = [
            member
            for (owner, _), member in service.members.items()
            if owner == key and member.firing
        ]
        if incident.status != "open":
            continue
        counted = sum(member.stands_for for member in firing)
        assert incident.alerts_firing == counted > 0, "an open incident has a firing alert"
        assert not incident.update_pending or (key, UPDATE) in timers, (
            "a pending update has a timer"
        )
        if ends := [member.ends_at for member in firing if member.ends_at]:
            assert timers[key, EXPIRY] <= max(world.now, min(ends) + _MAX_GRACE), (
                "an announced end has a timer"
            )


def _check_responses(world: World) -> None:
    service = world.escalation
    timers = {(t.subject, t.payload["round"], t.payload["step"], t.due_at) for t in service.timers}
    for key, incident in service.incidents.items():
        response, due = incident.response, incident.due
        assert bool(response.waiting_on) == (response.status != "resolved"), (
            "an unresolved incident says what it waits on"
        )
        assert (due is not None) == (response.status == "triggered"), (
            "only triggered incidents have a due step"
        )
        assert due is None or (key, due.round, due.step, due.due_at) in timers, (
            "a due step has a timer"
        )


def check_quiet(world: World) -> None:
    """The system is idle and nothing is due: all services agree, and nobody is forgotten."""
    for key, incident in world.intake.incidents.items():
        if not incident.sequence:
            # After a restore the others may know what intake has not said again.
            assert key not in world.triage.states or world.intake.epoch, (
                "what opens late says nothing until then"
            )
            continue
        triaged, response = world.triage.states[key], world.escalation.incidents[key].response
        # Higher, if intake was restored and has forgotten what it published.
        assert triaged.triage.intake_sequence >= incident.sequence, "triage has read all"
        assert response.triage_sequence == triaged.sequence, "escalation has read all"
        assert (incident.status == "open") == (response.status != "resolved"), (
            "all agree on whether it is open"
        )
        if incident.status == "open":
            assert (
                incident.update_pending
                or incident.signal_count == triaged.triage.incident.signal_count
            ), "everything is published"
            assert response.intake_sequence == incident.sequence
            assert response.priority == triaged.triage.priority
        shown = world.reporting.incidents[key]
        assert (shown.intake_sequence, shown.triage_sequence) == (
            triaged.triage.intake_sequence,
            triaged.sequence,
        )
        summary = summarise(shown)
        assert (summary.status, summary.number) == (response.status, incident.number), (
            "reporting shows the same"
        )
        assert summary.priority == triaged.triage.priority
    for accepted in world.firing.values():
        _check_not_lost(world, accepted)


def _check_not_lost(world: World, accepted: Accepted) -> None:
    """A firing alert has an open incident, unless it expired or somebody resolved it having seen
    it.
    """
    service, key = world.intake, accepted.incident_id
    if accepted.ends_at and accepted.ends_at <= world.now:
        return
    while key in service.successors:
        key = service.successors[key]
    incident = service.incidents[key]
    assert incident.cleared_at is None, "nothing clears while an alert fires"
    if incident.status == "open":
        assert service.members[key, accepted.member].firing, "the alert fires in the open incident"
    elif key == accepted.incident_id:
        assert _was_seen(world, accepted), "a signal that nobody saw is not closed"


def _was_seen(world: World, accepted: Accepted) -> bool:
    if accepted.alert.signal.subject == accepted.incident_id:
        return True  # a response exists only after the signal that opened the incident
    if successor(world.intake.incidents[accepted.incident_id]) in world.intake.early_resolutions:
        return True  # before the restore it opened an incident that is resolved
    published = world.bus.topics[intake.TOPIC][accepted.published_before :]
    later = [event.sequence for event in published if event.subject == accepted.incident_id]
    response = world.escalation.incidents[accepted.incident_id].response
    return bool(later) and response.intake_sequence >= later[0]
