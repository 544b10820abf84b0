"""One incident as a reader sees it: its times, its pages and what was changed before."""

from datetime import timedelta

from services.reporting.timeline.domain.entries import make_entry
from services.reporting.timeline.domain.view import make_view
from shared.events.intake import ChangeRecorded
from tests.support.outage import OPENED, Outage, change
from tests.unit.reporting.timeline.domain.test_state import fold, whole


def test_a_view_has_times_pages_reasons_and_the_change_before() -> None:
    outage = Outage()
    events = whole(outage)
    recorded = change(made_at=OPENED - timedelta(minutes=5)).data
    assert isinstance(recorded, ChangeRecorded)
    view = make_view(
        fold(outage, events),
        [make_entry(e) for e in events],
        0,
        [recorded.change],
        "http://traces/{trace_id}",
    )
    assert view.time_to_acknowledge == timedelta(minutes=2)
    assert view.time_to_resolve == timedelta(minutes=30)
    assert (
        view.timeline[0].title == "Deployment v41: new payment client (5 min before the incident)"
    )
    assert view.timeline[-1].title == "Resolved: cleared at the source"
    assert [(page.page.user, page.page.step, page.outcome) for page in view.pages] == [
        ("ana", 1, "sent"),
        ("ben", 2, "sent"),
    ]
    assert "on call" in view.pages[0].page.why[0]
    assert "severity critical: urgency high" in view.reasons
    assert view.trace_url == f"http://traces/{outage.trace.trace_id}"
    assert {e.trace_id for e in view.timeline if e.type != "ChangeRecorded"} == {
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
    view = make_view(fold(outage, events), [make_entry(e) for e in reversed(events)], 0, [], None)
    assert [(p.page.user, p.outcome, p.error) for p in view.pages] == [
        ("ana", "sent", "HTTP 500"),
        ("ben", "failed", "HTTP 500"),
    ]


def test_what_an_incident_waits_on_and_what_is_not_known_yet() -> None:
    outage = Outage()
    new = make_view(fold(outage, [outage.reported()]), [], 3, [], "http://traces/{trace_id}")
    assert (new.waiting_on, new.reasons, new.omitted) == (None, [], 3)
    assert (new.time_to_acknowledge, new.time_to_resolve) == (None, None)
    waiting = make_view(fold(outage, [outage.started()]), [], 0, [], None)
    assert (waiting.waiting_on, waiting.trace_url) == ("ana to acknowledge", None)
    over = make_view(fold(outage, [outage.resolved(3)]), [], 0, [], None)
    assert over.waiting_on is None
    # The end is known, the opening is not.
    assert over.time_to_resolve is None
