"""Signals become incidents: opened, joined, cleared, published at once or together."""

import random
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from services.intake.incidents.domain.ending import flush_update
from services.intake.incidents.domain.grouping import group_alerts
from services.intake.incidents.domain.incident import UNLISTED, BatchResult
from services.intake.incidents.domain.meeting import Met, numbers_needed
from services.intake.signals.domain import Group
from shared.events.intake import IncidentCleared, IncidentReported, IncidentUpdated, Severity
from tests.unit.intake.builders import NOON, POLICY, alert, brief, decisions, kinds, only, take


def test_the_first_signal_opens_and_the_second_joins() -> None:
    first = take([alert()])
    assert kinds(first) == [IncidentReported]
    second = take([alert()], first, NOON + timedelta(seconds=11))
    assert kinds(second) == [IncidentUpdated]
    assert only(second).signal_count == 2
    assert only(second).sequence == 2
    assert decisions(second) == ["joined"]


def test_one_key_opens_and_closes_though_the_text_differs() -> None:
    opened = take([alert(key="7", summary="disk 91 %")])
    cleared = take([alert("resolved", key="7", summary="disk ok")], opened)
    assert kinds(cleared) == [IncidentCleared]
    assert only(cleared).status == "cleared"
    assert only(cleared).signal_count == 1, "an end is no further signal of trouble"


@pytest.mark.parametrize(
    "other",
    [{"severity": "info"}, {"summary": "other"}, {"annotations": {"a": "b"}}, {"starts_at": NOON}],
)
def test_what_differs_between_an_alert_and_its_end_is_not_in_the_fingerprint(
    other: dict[str, Any],
) -> None:
    labels = {"host": "a"}
    end: dict[str, Any] = {"key": None, "labels": labels} | other
    assert alert(key=None, labels=labels).fingerprint == alert("resolved", **end).fingerprint


def test_a_storm_is_published_once_and_the_rest_together_later() -> None:
    opened = take([alert() for _ in range(50)])
    assert kinds(opened) == [IncidentReported]
    assert only(opened).reported().signal_count == 50
    storm = take([alert() for _ in range(500)], opened, NOON + timedelta(seconds=1))
    assert storm.events == []
    assert [incident.incident_id for incident in storm.update_due] == [only(opened).incident_id]
    again = take([alert()], storm, NOON + timedelta(seconds=2))
    assert again.update_due == [], "one timer is enough"
    event = flush_update(only(again), 0, NOON + timedelta(seconds=10))
    assert event is not None
    assert isinstance(event.fact, IncidentUpdated)
    assert event.fact.incident.signal_count == 551
    assert flush_update(event.incident, 0, NOON + timedelta(seconds=10)) is None, (
        "a second timer finds nothing"
    )


def test_a_worse_severity_is_published_at_once() -> None:
    opened = take([alert(severity="warning")])
    worse = take([alert(severity="critical")], opened, NOON + timedelta(seconds=1))
    assert kinds(worse) == [IncidentUpdated]
    assert only(worse).severity is Severity.CRITICAL


def test_it_clears_when_the_last_of_its_alerts_ends() -> None:
    opened = take([alert(alert="a"), alert(alert="b")])
    half = take([alert("resolved", alert="a")], opened, NOON + timedelta(minutes=1))
    assert only(half).status == "open"
    assert only(half).alerts_firing == 1
    rest = take([alert("resolved", alert="b")], half, NOON + timedelta(minutes=2))
    assert kinds(rest) == [IncidentCleared]


def test_an_end_with_nothing_open_is_logged_and_opens_nothing() -> None:
    result = take([alert("resolved")])
    assert result.events == []
    assert decisions(result) == ["nothing was open"]


def test_fire_end_and_fire_in_one_batch_are_two_incidents_in_order() -> None:
    alerts = [alert(), alert("resolved"), alert()]
    result = take(alerts)
    assert kinds(result) == [IncidentReported, IncidentCleared, IncidentReported]
    assert [incident.status for incident in result.opened.values()] == ["cleared", "open"]
    assert len({incident.number for incident in result.opened.values()}) == 2
    assert numbers_needed(group_alerts(alerts, POLICY), Met(), POLICY) == 2


def test_the_final_state_does_not_depend_on_the_order_of_parallel_signals() -> None:
    severities = ["info", "warning", "critical", "error", "odd"]
    alerts = [
        alert(
            at=NOON + timedelta(seconds=n),
            signal_id=f"p{n:02}",
            summary=f"text {n}",
            severity=severities[n % 5],
        )
        for n in range(50)
    ]
    states = []
    for seed in range(20):
        random.Random(seed).shuffle(alerts)  # noqa: S311
        half = take(alerts[:25])
        whole = only(take(alerts[25:], half, NOON + timedelta(seconds=20)))
        states.append(
            (
                whole.summary,
                whole.severity,
                whole.signal_count,
                whole.alerts_firing,
                whole.started_at,
            )
        )
    assert set(states) == {("text 49", Severity.CRITICAL, 50, 1, NOON)}


@pytest.mark.parametrize("severity", [None, "none", "page", "5"])
def test_an_unknown_severity_takes_the_default_and_says_so(severity: str | None) -> None:
    incident = only(take([alert(severity=severity)]))
    assert incident.severity is POLICY.default_severity
    assert incident.severity_reason is not None
    assert "default" in incident.severity_reason


def test_severity_is_read_in_any_case() -> None:
    assert only(take([alert(severity="CRITICAL")])).severity is Severity.CRITICAL


def test_an_explicit_end_clears_at_once() -> None:
    opened = take([alert(ends_at=NOON + timedelta(minutes=5))])
    assert kinds(take([alert("resolved")], opened, NOON + timedelta(seconds=1))) == [
        IncidentCleared
    ]


def test_a_restored_database_numbers_its_events_above_all_earlier_ones() -> None:
    opened = take([alert()])
    later = take([alert(severity="critical")], opened, NOON + timedelta(seconds=1), epoch=1)
    assert only(later).sequence > 2**40
    assert only(later).fired_sequence <= only(later).sequence


def test_members_keep_count_of_what_fires() -> None:
    opened = take([alert(alert="a"), alert(alert="a"), alert(alert="b")])
    incident = only(opened)
    assert incident.alerts_firing == 2
    assert {place: brief(member) for place, member in opened.members.items()} == {
        (incident.incident_id, "a"): (True, None, 1),
        (incident.incident_id, "b"): (True, None, 1),
    }
    assert incident.alerts_total == 2


def test_why_a_severity_was_taken_does_not_depend_on_who_came_first() -> None:
    said = [alert(severity="odd"), alert(severity="error"), alert(), alert(severity="info")]
    reasons = {only(take(list(order))).severity_reason for order in permutations(said)}
    assert reasons == {None}, "somebody said so"
    reasons = {only(take(list(order))).severity_reason for order in permutations(said[::2])}
    assert len(reasons) == 1


class TestANotificationAboutAGroup:
    """It lists some alerts of its group, and says how many it leaves out."""

    def open_five(self) -> BatchResult:
        """Two of five firing alerts are listed."""
        return take([alert(alert="a", group=Group(unlisted=3)), alert(alert="b")])

    def test_what_it_leaves_out_counts_as_firing(self) -> None:
        opened = self.open_five()
        incident = only(opened)
        assert incident.alerts_firing == 5
        assert brief(opened.members[incident.incident_id, UNLISTED]) == (True, None, 3)
        again = take([alert(alert="a", group=Group(unlisted=3)), alert(alert="b")], opened)
        assert only(again).alerts_firing == 5, "they are not counted twice"

    def test_it_stays_open_while_what_it_leaves_out_fires(self) -> None:
        half = take(
            [alert("resolved", alert="a", group=Group(unlisted=3)), alert("resolved", alert="b")],
            self.open_five(),
        )
        assert decisions(half) == ["alert ended", "alert ended"]
        assert (only(half).status, only(half).alerts_firing) == ("open", 3)

    def test_it_stays_open_when_all_that_it_lists_ends_and_others_are_left_out_for_the_first_time(
        self,
    ) -> None:
        opened = take([alert(alert="a", group=Group())])
        after = take([alert("resolved", alert="a", group=Group(unlisted=3))], opened)
        assert (kinds(after), only(after).alerts_firing) == ([], 3)

    def test_a_list_without_omissions_counts_as_it_stands(self) -> None:
        opened = self.open_five()
        fewer = take([alert(alert="a", group=Group()), alert(alert="b")], opened)
        assert only(fewer).alerts_firing == 2

    def test_when_the_group_is_over_so_is_all_that_was_ever_listed_or_left_out(self) -> None:
        opened = self.open_five()
        shifted = take([alert(alert="0", group=Group(unlisted=4)), alert(alert="a")], opened)
        over = take(
            [
                alert("resolved", alert="0"),
                alert("resolved", alert="a", group=Group(all_resolved=True)),
            ],
            shifted,
        )
        assert kinds(over) == [IncidentCleared]
        assert decisions(over) == ["alert ended", "cleared"]
        assert not any(member.firing for member in over.members.values())

    def test_where_it_does_not_say_what_it_leaves_out_counts_as_firing_for_a_while(self) -> None:
        opened = self.open_five()
        shifted = take([alert(alert="0", group=Group(unlisted=4)), alert(alert="a")], opened)
        unclear = take(
            [
                alert("resolved", alert="0", group=Group(unlisted=4, all_resolved=None)),
                alert("resolved", alert="a"),
            ],
            shifted,
        )
        incident = only(unclear)
        ends_at = NOON + POLICY.unlisted_timeout
        assert (incident.status, incident.alerts_firing) == ("open", 5)
        assert incident.expiry_armed_at == ends_at + POLICY.expiry_grace
        assert incident.incident_id in {one.incident_id for one in unclear.expiry_due}
        firing = {key: brief(one) for (_, key), one in unclear.members.items() if one.firing}
        assert firing == {"b": (True, ends_at, 1), UNLISTED: (True, ends_at, 4)}
        back = take([alert(alert="c", group=Group(unlisted=1)), alert(alert="d")], unclear)
        assert brief(back.members[incident.incident_id, UNLISTED]) == (True, None, 1)

    def test_what_it_leaves_out_opens_nothing_by_itself(self) -> None:
        nothing = take([alert("resolved", alert="a", group=Group(unlisted=3, all_resolved=None))])
        assert decisions(nothing) == ["nothing was open"]

    def test_a_group_that_is_over_opens_and_clears_in_one_batch(self) -> None:
        both = take(
            [
                alert(alert="a", group=Group(unlisted=3)),
                alert("resolved", alert="a", group=Group(all_resolved=True)),
            ]
        )
        assert kinds(both) == [IncidentReported, IncidentCleared]


def test_one_alert_that_takes_over_from_another_leaves_the_incident_open() -> None:
    opened = take([alert(alert="a")])
    after = take([alert(alert="b"), alert("resolved", alert="a")], opened)
    assert (kinds(after), only(after).alerts_firing) == ([], 1)


def test_what_opened_and_changed_in_one_batch_is_reported_once_with_the_final_state() -> None:
    result = take([alert(severity="warning"), alert(severity="critical"), alert(alert="b")])
    (event,) = result.events
    assert event.fact.incident.model_dump() == only(result).reported().model_dump()
    assert (only(result).signal_count, only(result).severity) == (3, Severity.CRITICAL)


def test_an_incident_that_makes_room_for_another_is_written_before_it() -> None:
    opened = take([alert()])
    both = take([alert("resolved"), alert()], opened)
    assert both.replaced() == {only(opened).incident_id}
    assert take([alert("resolved")], opened).replaced() == set()
