"""An incident's state does not depend on the order in which its events are read."""

from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reporting.timeline.domain.state import (
    Incident,
    apply_event,
    apply_events,
    is_synthetic,
    newest_report,
    summarise,
    synthetic_services,
)
from shared.events.facts import Event
from shared.events.triage import Priority
from tests.support.outage import OPENED, Outage


def fold(outage: Outage, events: list[Event]) -> Incident:
    return reduce(apply_event, events, Incident(outage.incident_id))


def whole(outage: Outage) -> list[Event]:
    return [
        outage.reported(),
        outage.triaged(),
        outage.started(),
        outage.escalated(0.03, 1, "ana"),
        outage.paged(0.05, "ana"),
        outage.updated(1),
        outage.confirmed(1.1),
        outage.escalated(1.5, 2, "ben"),
        outage.paged(1.6, "ben", step=2),
        outage.acknowledged(2, "Ben"),
        outage.cleared(29),
        outage.confirmed(29.5),
        outage.resolved(30),
    ]


OUTAGE = Outage()
EVENTS = whole(OUTAGE)


@given(st.permutations(EVENTS), st.lists(st.sampled_from(EVENTS)))
@settings(max_examples=200, deadline=None)
def test_any_order_with_repeats_gives_the_same_state(
    order: list[Event], repeats: list[Event]
) -> None:
    shuffled = [*order, *repeats]
    assert fold(OUTAGE, shuffled) == fold(OUTAGE, EVENTS)


@given(st.sets(st.integers(0, len(EVENTS) - 1), min_size=1))
@settings(max_examples=100, deadline=None)
def test_any_part_of_the_events_gives_one_state_too(part: set[int]) -> None:
    events = [EVENTS[place] for place in sorted(part)]
    assert fold(OUTAGE, events[::-1]) == fold(OUTAGE, events)
    assert summarise(fold(OUTAGE, events)).number == OUTAGE.number


def test_escalation_alone_is_enough_to_show_an_incident() -> None:
    outage = Outage()
    state = summarise(fold(outage, [outage.started()]))
    assert (state.status, state.priority, state.team, state.summary) == (
        "triggered",
        "P1",
        "payments",
        "checkout answers 5xx",
    )
    assert state.opened_at is None


def test_what_triage_passed_on_is_used_until_intakes_own_report_comes() -> None:
    outage = Outage()
    outage.reported()
    outage.updated(1, signals=40)
    state = summarise(fold(outage, [outage.triaged(1.1)]))
    assert (state.status, state.signal_count, state.opened_at) == ("reported", 40, OPENED)


def test_a_new_priority_shows_before_escalation_has_seen_it() -> None:
    outage = Outage(priority="P3")
    events = [outage.reported(), outage.triaged(), outage.started()]
    outage.priority = "P1"
    assert summarise(fold(outage, [*events, outage.confirmed(1)])).priority == "P1"
    assert summarise(fold(outage, events)).priority == "P3"


def test_the_priority_of_a_response_shows_once_it_has_seen_all_that_triage_said() -> None:
    outage = Outage(priority="P3")
    incident = fold(outage, [outage.reported(), outage.triaged(), outage.started()])
    assert incident.response
    assert incident.response.triage_sequence == incident.triage_sequence == 1
    raised = incident.response.model_copy(update={"priority": Priority.P1, "team": "network"})
    summary = summarise(replace(incident, response=raised))
    assert (summary.priority, summary.team) == (Priority.P1, "network")
    behind = raised.model_copy(update={"triage_sequence": 0})
    assert summarise(replace(incident, response=behind)).priority is Priority.P3


@pytest.mark.parametrize("kind", ["reported", "triaged", "started"])
def test_of_two_events_with_one_sequence_the_first_stands(kind: str) -> None:
    first, second = Outage(team="payments"), Outage(team="network", summary="something else")
    incident = fold(first, [getattr(first, kind)()])
    assert apply_event(incident, replace(getattr(second, kind)(), trace=first.trace)) == incident


def test_intakes_own_report_stands_unless_triage_passed_on_a_newer_one() -> None:
    outage = Outage()
    incident = fold(outage, [outage.reported(), outage.triaged()])
    assert incident.triaged
    other = incident.triaged.incident.model_copy(update={"summary": "as triage has it"})
    passed_on = replace(incident, triaged=incident.triaged.model_copy(update={"incident": other}))
    assert newest_report(passed_on) == incident.reported
    only = fold(outage, [outage.triaged()])
    assert only.triaged
    unnumbered = only.triaged.model_copy(update={"intake_sequence": 0})
    assert newest_report(replace(only, triaged=unnumbered)) == unnumbered.incident
    newer = incident.triaged.model_copy(update={"incident": other, "intake_sequence": 2})
    assert newest_report(replace(incident, triaged=newer)) == other


def test_a_batch_publishes_each_state_that_changed_once_in_the_trace_of_its_newest_event() -> None:
    outage, other = Outage(), Outage(number=1043)
    known = {o.incident_id: Incident(o.incident_id) for o in (outage, other)}
    events = [outage.reported(), other.reported(), outage.triaged(), outage.started()]
    first, second = apply_events(known, events, epoch=0)
    assert (first.cause, second.cause) == (events[3], events[1])
    assert (first.incident.sequence, second.incident.sequence) == (1, 1)
    assert first.summary == summarise(first.incident)
    (again,) = apply_events({outage.incident_id: first.incident}, events[:1], epoch=0)
    assert (again.cause, again.incident) == (None, first.incident)
    (raised,) = apply_events({outage.incident_id: first.incident}, [outage.resolved(3)], epoch=7)
    assert raised.incident.sequence == (7 << 40) + 1


def test_an_incident_of_a_synthetic_service_is_synthetic_until_triage_decides() -> None:
    canary, real = Outage(service="canary", synthetic=True), Outage(service="canary")
    services = synthetic_services(set(), [canary.reported(), canary.triaged()])
    assert services == {"canary"}
    undecided = summarise(fold(real, [real.reported()]))
    assert is_synthetic(undecided, services)
    assert not is_synthetic(undecided, set())
    decided = summarise(fold(real, [real.triaged()]))
    assert not is_synthetic(decided, services)
    assert synthetic_services(services, [real.triaged()]) == set()
