"""What holds in every life of every incident: after each step, and once nothing is on its way any
more.
"""

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

_LONGEST_GRACE = max(policy.expiry_grace for policy in INTAKE)
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
    """Reads all that is published, and remembers what nobody may say after it."""

    def __init__(self) -> None:
        self._sequences: dict[tuple[str, UUID], int] = {}
        self._ranks: dict[UUID, int] = {}
        self._said: dict[str, set[Hashable]] = defaultdict(set)
        self._reports: dict[UUID, intake.ReportedIncident] = {}

    def forget(self, service: str) -> None:
        """A service was put back: it may tell again what it has forgotten, and triage passes on
        what intake tells.
        """
        self._said[triage.TOPIC].clear()
        if service == "intake":
            self._said[intake.TOPIC].clear()
            self._reports.clear()

    def hear(self, event: Event) -> None:
        producer = (event.data.topic, event.subject)
        assert event.sequence > self._sequences.get(producer, 0), "sequences rise"
        self._sequences[producer] = event.sequence
        for decision in _decisions(event):
            assert decision not in self._said[event.data.topic], f"said twice: {decision}"
            self._said[event.data.topic].add(decision)
        report, response = (
            getattr(event.data, "incident", None),
            getattr(event.data, "response", None),
        )
        if isinstance(report, intake.ReportedIncident):
            assert report != self._reports.get(event.subject), "what is told is news"
            self._reports[event.subject] = report
        if isinstance(response, escalation.Response):
            assert _RANK[response.status] >= self._ranks.get(event.subject, 0), (
                "a response never goes back"
            )
            self._ranks[event.subject] = _RANK[response.status]


def _decisions(event: Event) -> list[Hashable]:
    """What the event tells of, that happens once."""
    fact, subject = event.data, event.subject
    told: list[Hashable] = [(type(fact), subject)] if isinstance(fact, _ONCE) else []
    match fact:
        case escalation.IncidentEscalated(paged=paged, response=response) if paged:
            told.append(("step", subject, response.round, response.step))
        case escalation.PageSent(page=page):
            told.append(("sent", page.attempt_key))
        case escalation.PageFailed(page=page):
            told.append(("failed", page.attempt_key, page.attempts))
    if fact.topic == triage.TOPIC:
        told.append(("triaged", subject, fact.triage.intake_sequence))  # type: ignore[attr-defined]
    return told


def check_always(world: World) -> None:
    _check_intake(world)
    _check_responses(world)
    orders = [row.order for row in world.escalation.ledger.values()]
    pages = {
        (order.incident_id, order.round, order.step, order.user, order.method) for order in orders
    }
    assert len(pages) == len(orders) == len({order.attempt_key for order in orders}), (
        "one key a page"
    )


def _check_intake(world: World) -> None:
    room = world.intake
    opened = Counter(incident.fingerprint for incident in room.open())
    assert not opened or max(opened.values()) == 1, "one open incident a fingerprint"
    numbers = {incident.number for incident in room.incidents.values()}
    assert len(numbers) == len(room.incidents), "one number an incident"
    followers = Counter(room.successors.values())
    latest_first = sorted(room.timers, key=lambda timer: timer.due_at, reverse=True)
    timers = {(timer.subject, timer.kind): timer.due_at for timer in latest_first}
    for key, incident in room.incidents.items():
        assert incident.signal_count == world.joined[key] + followers[key], (
            "each signal counts once"
        )
        firing = [
            member for (owner, _), member in room.members.items() if owner == key and member.firing
        ]
        if incident.status != "open":
            continue
        assert incident.alerts_firing == len(firing) > 0, "what is open has something that fires"
        assert not incident.held_back or (key, UPDATE) in timers, "what is held back will be told"
        if ends := [member.ends_at for member in firing if member.ends_at]:
            assert timers[key, EXPIRY] <= max(world.now, min(ends) + _LONGEST_GRACE), (
                "an end by silence is looked for"
            )


def _check_responses(world: World) -> None:
    room = world.escalation
    timers = {(t.subject, t.payload["round"], t.payload["step"], t.due_at) for t in room.timers}
    for key, incident in room.incidents.items():
        response, due = incident.response, incident.due
        assert bool(response.waiting_on) == (response.status != "resolved"), (
            "it says what it waits on"
        )
        assert (due is not None) == (response.status == "triggered"), (
            "only who is waited for is timed"
        )
        assert due is None or (key, due.round, due.step, due.due_at) in timers, "its timer exists"


def check_quiet(world: World) -> None:
    """Nothing is on its way and nothing is due: everybody knows the same, and nobody is forgotten."""
    for key, incident in world.intake.incidents.items():
        triaged, response = world.triage.states[key], world.escalation.incidents[key].response
        # More than all, where intake was put back and has forgotten that it told.
        assert triaged.triage.intake_sequence >= incident.sequence, "triage has seen all"
        assert response.triage_sequence == triaged.sequence, "escalation has seen all"
        assert (incident.status == "open") == (response.status != "resolved"), (
            "open is open everywhere"
        )
        if incident.status == "open":
            assert (
                incident.held_back or incident.signal_count == triaged.triage.incident.signal_count
            ), "all is told"
            assert response.intake_sequence == incident.sequence
            assert response.priority == triaged.triage.priority
        shown = world.reporting.incidents[key]
        assert (shown.intake_sequence, shown.triage_sequence) == (
            triaged.triage.intake_sequence,
            triaged.sequence,
        )
        summary = summarise(shown)
        assert (summary.status, summary.number) == (response.status, incident.number), (
            "reporting shows it as it is"
        )
        assert summary.priority == triaged.triage.priority
    for accepted in world.firing.values():
        _check_not_lost(world, accepted)


def _check_not_lost(world: World, accepted: Accepted) -> None:
    """Who fires has an open incident, unless it was silent past its end, or somebody resolved it
    having seen it.
    """
    room, key, ends_at = world.intake, accepted.incident_id, accepted.alert.data.ends_at
    if ends_at and max(ends_at, accepted.at) <= world.now:
        return
    while key in room.successors:
        key = room.successors[key]
    incident = room.incidents[key]
    assert incident.cleared_at is None, "nothing clears while it fires"
    if incident.status == "open":
        assert room.members[key, accepted.alert.alert_key].firing, (
            "it fires in the incident that is open"
        )
    elif key == accepted.incident_id:
        assert _was_seen(world, accepted), "a signal that nobody saw is not closed with the rest"


def _was_seen(world: World, accepted: Accepted) -> bool:
    if accepted.alert.signal.subject == accepted.incident_id:
        return True  # there is no response to an incident without the signal that made it
    if successor(world.intake.incidents[accepted.incident_id]) in world.intake.resolved_ahead:
        return (
            True  # in the life before the database was put back, it opened an incident that is over
        )
    said = world.bus.topics[intake.TOPIC][accepted.said_before :]
    told = [event.sequence for event in said if event.subject == accepted.incident_id]
    return (
        bool(told)
        and world.escalation.incidents[accepted.incident_id].response.intake_sequence >= told[0]
    )
