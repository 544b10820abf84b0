"""Signals become incidents: opened, joined, cleared, told of at once or together."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from typing import Any

import pytest

from services.intake.incidents.domain.ending import close, expire, release
from services.intake.incidents.domain.fold import absorb, numbers_needed
from services.intake.incidents.domain.state import Incident, Member, Outcome
from services.intake.incidents.policy import IntakePolicy
from services.intake.signals.domain import Alert, AlertData, Signal, as_alert
from shared.events.intake import IncidentCleared, IncidentReported, IncidentUpdated, Severity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = IntakePolicy(update_interval=timedelta(seconds=10), expiry_grace=timedelta(minutes=2))
_ids = count(1)


def alert(
    status: str = "firing", *, at: datetime = NOON, signal_id: str | None = None, **data: Any
) -> Alert:
    body = AlertData(
        **{"summary": "disk full", "service": "checkout", "key": "disk", "status": status, **data}
    )
    made = as_alert(Signal("probe", signal_id or f"s{next(_ids)}", at, at, None, body))
    assert made is not None
    return made


def take(
    alerts: list[Alert], before: Outcome | None = None, now: datetime = NOON, epoch: int = 0
) -> Outcome:
    known = {**before.opened, **before.changed} if before else {}
    opened = {i.fingerprint: i for i in known.values() if i.status == "open"}
    members = dict(before.members) if before else {}
    return absorb(alerts, opened, members, count(1000), POLICY, epoch, now)


def only(outcome: Outcome) -> Incident:
    (incident,) = {**outcome.opened, **outcome.changed}.values()
    return incident


def kinds(outcome: Outcome) -> list[type]:
    return [type(told.fact) for told in outcome.told]


def test_the_first_signal_opens_and_the_second_joins() -> None:
    first = take([alert()])
    assert kinds(first) == [IncidentReported]
    second = take([alert()], first, NOON + timedelta(seconds=11))
    assert kinds(second) == [IncidentUpdated]
    assert only(second).signal_count == 2
    assert only(second).sequence == 2
    assert [decision for _, decision, _ in second.decisions] == ["joined"]


def test_c10_one_key_opens_and_closes_though_the_text_differs() -> None:
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


def test_a_storm_is_told_of_once_and_the_rest_together_later() -> None:
    opened = take([alert() for _ in range(50)])
    assert kinds(opened) == [IncidentReported]
    assert only(opened).reported().signal_count == 50
    storm = take([alert() for _ in range(500)], opened, NOON + timedelta(seconds=1))
    assert storm.told == []
    assert [incident.incident_id for incident in storm.update_due] == [only(opened).incident_id]
    again = take([alert()], storm, NOON + timedelta(seconds=2))
    assert again.update_due == [], "one timer is enough"
    told = release(only(again), 0, NOON + timedelta(seconds=10))
    assert told is not None
    assert isinstance(told.fact, IncidentUpdated)
    assert told.fact.incident.signal_count == 551
    assert release(told.incident, 0, NOON + timedelta(seconds=10)) is None, (
        "a second timer finds nothing"
    )


def test_a_worse_severity_is_told_at_once() -> None:
    opened = take([alert(severity="warning")])
    worse = take([alert(severity="critical")], opened, NOON + timedelta(seconds=1))
    assert kinds(worse) == [IncidentUpdated]
    assert only(worse).severity is Severity.CRITICAL


def test_it_clears_when_the_last_of_its_alerts_ends() -> None:
    opened = take([alert(alert="a"), alert(alert="b")])
    half = take([alert("resolved", alert="a")], opened, NOON + timedelta(minutes=1))
    assert only(half).status == "open"
    assert only(half).alerts_firing == 1
    members = {**opened.members, **half.members}
    half.members.update(members)
    rest = take([alert("resolved", alert="b")], half, NOON + timedelta(minutes=2))
    assert kinds(rest) == [IncidentCleared]


def test_an_end_with_nothing_open_is_logged_and_opens_nothing() -> None:
    outcome = take([alert("resolved")])
    assert outcome.told == []
    assert [decision for _, decision, _ in outcome.decisions] == ["nothing was open"]


def test_fire_end_and_fire_in_one_batch_are_two_incidents_in_order() -> None:
    alerts = [alert(), alert("resolved"), alert()]
    outcome = take(alerts)
    assert kinds(outcome) == [IncidentReported, IncidentCleared, IncidentReported]
    assert [incident.status for incident in outcome.opened.values()] == ["cleared", "open"]
    assert len({incident.number for incident in outcome.opened.values()}) == 2
    assert numbers_needed(alerts, {}) == 2


def test_c11_the_final_state_does_not_depend_on_the_order_of_parallel_signals() -> None:
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


def test_c16_a_refresh_within_the_grace_gives_no_clear_and_a_later_silence_does() -> None:
    ends = NOON + timedelta(minutes=5)
    opened = take([alert(ends_at=ends)])
    (armed,) = opened.expiry_due
    assert armed.expiry_armed_at == ends + POLICY.expiry_grace
    late = take([alert(ends_at=ends + timedelta(minutes=5))], opened, ends + timedelta(seconds=30))
    assert IncidentCleared not in kinds(late)
    assert late.expiry_due == [], "the armed timer will look again"
    # The first timer finds no alert past its end, and arms itself for the new one.
    kept, told = expire(
        only(late), 0, ends + timedelta(minutes=5), POLICY, 0, ends + timedelta(minutes=2)
    )
    assert told is None
    assert kept.expiry_armed_at == ends + timedelta(minutes=7)
    fewer, told = expire(
        replace(kept, alerts_firing=2), 1, ends + timedelta(hours=1), POLICY, 0, ends
    )
    assert told is not None
    assert isinstance(told.fact, IncidentUpdated), "some alerts ended, others fire"
    assert (fewer.status, fewer.alerts_firing, told.fact.incident.alerts_firing) == ("open", 1, 1)
    over, told = expire(kept, 1, None, POLICY, 0, ends + timedelta(minutes=7))
    assert over.status == "cleared"
    assert told is not None
    assert isinstance(told.fact, IncidentCleared)
    assert told.fact.reason == "expired"


def test_an_explicit_end_clears_at_once() -> None:
    opened = take([alert(ends_at=NOON + timedelta(minutes=5))])
    assert kinds(take([alert("resolved")], opened, NOON + timedelta(seconds=1))) == [
        IncidentCleared
    ]


class TestResolvedByAPerson:
    def test_what_they_saw_is_closed(self) -> None:
        incident = only(take([alert()]))
        closed, told = close(incident, incident.sequence, count(2000), 0, NOON)
        assert closed.status == "closed"
        assert told is None

    def test_a_signal_they_had_not_seen_opens_a_new_incident(self) -> None:
        opened = take([alert()])
        raced = take([alert(signal_id="late")], opened, NOON + timedelta(seconds=1))
        closed, told = close(
            only(raced), only(opened).sequence, count(2000), 0, NOON + timedelta(seconds=2)
        )
        assert closed.status == "closed"
        assert told is not None
        assert isinstance(told.fact, IncidentReported)
        assert told.incident.incident_id != closed.incident_id
        assert (told.incident.number, told.incident.status, told.incident.sequence) == (
            2000,
            "open",
            1,
        )

    def test_an_end_they_had_not_seen_opens_nothing(self) -> None:
        opened = take([alert(alert="a"), alert(alert="b")])
        raced = take([alert("resolved", alert="a")], opened, NOON + timedelta(minutes=1))
        _, told = close(only(raced), only(opened).sequence, count(2000), 0, NOON)
        assert told is None

    def test_a_replayed_resolution_changes_nothing(self) -> None:
        incident = only(take([alert()]))
        closed, _ = close(incident, incident.sequence, count(2000), 0, NOON)
        assert close(closed, incident.sequence, count(2000), 0, NOON) == (closed, None)


def test_a_restored_database_numbers_its_events_above_all_earlier_ones() -> None:
    opened = take([alert()])
    later = take([alert(severity="critical")], opened, NOON + timedelta(seconds=1), epoch=1)
    assert only(later).sequence > 2**40
    assert only(later).fired_sequence <= only(later).sequence


def test_members_keep_count_of_what_fires() -> None:
    opened = take([alert(alert="a"), alert(alert="a"), alert(alert="b")])
    incident = only(opened)
    assert incident.alerts_firing == 2
    assert opened.members == {
        (incident.incident_id, "a"): Member(firing=True),
        (incident.incident_id, "b"): Member(firing=True),
    }


def test_why_a_severity_was_taken_does_not_depend_on_who_came_first() -> None:
    said = [alert(severity="odd"), alert(severity="error"), alert(), alert(severity="info")]
    reasons = {only(take(list(order))).severity_reason for order in permutations(said)}
    assert reasons == {None}, "somebody said so"
    reasons = {only(take(list(order))).severity_reason for order in permutations(said[::2])}
    assert len(reasons) == 1
