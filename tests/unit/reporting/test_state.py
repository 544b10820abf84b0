"""An incident's state does not depend on the order in which its events are read."""

from dataclasses import replace
from datetime import timedelta
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reporting.timeline.domain.state import Incident, absorb, summarise
from services.reporting.timeline.domain.story import tell
from services.reporting.timeline.domain.timeline import entry
from services.reporting.timeline.domain.words import apart, duration
from shared.events.facts import Event
from tests.support.outage import OPENED, Outage, change


def fold(outage: Outage, events: list[Event]) -> Incident:
    return reduce(absorb, events, Incident(outage.incident_id))


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


def test_what_triage_passed_on_stands_in_until_intake_is_heard() -> None:
    outage = Outage()
    outage.reported()
    outage.updated(1, signals=40)
    state = summarise(fold(outage, [outage.triaged(1.1)]))
    assert (state.status, state.signal_count, state.opened_at) == ("reported", 40, OPENED)


def test_a_new_priority_shows_although_escalation_has_not_seen_it() -> None:
    outage = Outage(priority="P3")
    events = [outage.reported(), outage.triaged(), outage.started()]
    outage.priority = "P1"
    assert summarise(fold(outage, [*events, outage.confirmed(1)])).priority == "P1"
    assert summarise(fold(outage, events)).priority == "P3"


def test_the_story_has_times_pages_and_the_change_before() -> None:
    outage = Outage()
    events = whole(outage)
    deployed = change(made_at=OPENED - timedelta(minutes=5)).data.change  # type: ignore[attr-defined]
    story = tell(
        fold(outage, events), [entry(e) for e in events], 0, [deployed], "http://traces/{trace_id}"
    )
    assert story.time_to_acknowledge == timedelta(minutes=2)
    assert story.time_to_resolve == timedelta(minutes=30)
    assert (
        story.timeline[0].title == "Deployment v41: new payment client (5 min before the incident)"
    )
    assert story.timeline[-1].title == "Resolved: cleared at the source"
    assert [(page.user, page.step, page.outcome) for page in story.pages] == [
        ("ana", 1, "sent"),
        ("ben", 2, "sent"),
    ]
    assert "on call" in story.pages[0].why[0]
    assert story.trace_url == f"http://traces/{outage.trace.trace_id}"
    assert {e.trace_id for e in story.timeline if e.type != "ChangeRecorded"} == {
        outage.trace.trace_id
    }


def test_a_page_that_failed_and_then_arrived_is_one_page() -> None:
    outage = Outage()
    events = [
        outage.started(),
        outage.page_failed(0.1),
        outage.paged(0.3),
        outage.page_failed(0.4, "ben", final=True),
    ]
    story = tell(fold(outage, events), [entry(e) for e in reversed(events)], 0, [], None)
    assert [(p.user, p.outcome, p.error) for p in story.pages] == [
        ("ana", "sent", "HTTP 500"),
        ("ben", "failed", "HTTP 500"),
    ]


def test_durations_read_as_people_write_them() -> None:
    spans = (0, 45, 125, 120, 3 * 3600, 86400 * 4 + 7300)
    assert [duration(timedelta(seconds=s)) for s in spans] == [
        "0 s",
        "45 s",
        "2 min 5 s",
        "2 min",
        "3 h",
        "4 d 2 h",
    ]
    assert duration(-timedelta(seconds=9)) == "0 s"
    assert apart(OPENED + timedelta(hours=1), OPENED) == "1 h after"


def test_a_long_summary_is_cut_in_the_title_alone() -> None:
    told = entry(Outage(summary="x" * 5000).reported())
    assert len(told.title) == 300
    assert told.title.endswith("…")


def test_a_way_that_only_a_newer_escalation_knows_is_told_by_its_name() -> None:
    event = Outage().acknowledged(1)
    told = entry(replace(event, data=event.data.model_copy(update={"via": "chat"})))
    assert told.title == "Acknowledged by Ana by chat"
