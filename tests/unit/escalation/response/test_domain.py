"""Stories of responses: who is paged, when, and what stops it."""

from datetime import timedelta
from itertools import permutations

import pytest

from services.escalation.policies.domain.page_order import Position
from services.escalation.policies.domain.walk import RETRY, SLOW_ROUND
from services.escalation.response.domain.escalation import fire, try_next_method
from services.escalation.response.domain.incident import Decision, Incident
from services.escalation.response.domain.orders import acknowledge, resolve
from services.escalation.response.domain.triage import on_triage
from shared.events.escalation import (
    IncidentAcknowledged,
    IncidentEscalated,
    IncidentResolved,
    ResponseStarted,
)
from shared.events.triage import Priority
from tests.unit.escalation.builders import (
    INCIDENT,
    TEAMS,
    next_step,
    opened,
    subsided,
    teams,
    utc,
    was_confirmed,
    was_triaged,
    withdrawn,
)


def paged(decision: Decision) -> list[tuple[str, str]]:
    return [(page.user, page.method) for page in decision.pages]


def when_due(incident: Incident) -> Decision:
    due, at = next_step(incident)
    return fire(incident, due, teams().content, at)


def test_on_the_night_the_clocks_change_in_berlin_who_is_on_call_is_paged_once() -> None:
    begun = opened("2024-10-27T01:30")  # 02:30 for the second time that night
    assert paged(begun) == [("ben", "email")]
    assert begun.pages[0].attempt_key == f"{INCIDENT}.1.1.ben.email"
    assert begun.pages[0].why == (
        "step 1 of policy payments, round 1: schedule payments-primary, "
        "on call Tue 2024-10-22 09:00 - Tue 2024-10-29 09:00 Europe/Berlin",
    )
    started, escalated = begun.facts
    assert isinstance(started, ResponseStarted)
    assert started.plan == [
        "step 1: schedule payments-primary; then 15 min to acknowledge",
        "step 2: user ben and user cleo; then 30 min to acknowledge",
        "2 rounds of policy payments, then one an hour",
    ]
    assert isinstance(escalated, IncidentEscalated)
    assert (escalated.paged, escalated.skipped) == (["ben"], [])
    assert started.response == escalated.response == begun.incident.response
    assert next_step(begun.incident) == ((1, 2), utc("2024-10-27T01:45"))


def test_without_an_answer_the_next_step_is_paged_and_then_the_next_round() -> None:
    first = opened("2024-10-30T12:00")
    second = when_due(first.incident)
    assert paged(second) == [("ben", "email"), ("cleo", "email")]
    third = when_due(second.incident)
    assert (third.incident.response.round, third.incident.response.step) == (2, 1)
    assert third.pages[0].attempt_key == f"{INCIDENT}.2.1.ana.webhook"
    assert third.incident.due
    assert third.incident.due.due_at == utc("2024-10-30T13:00")


def test_when_all_rounds_are_spent_it_goes_on_once_an_hour_and_never_stalls() -> None:
    decision = opened("2024-10-30T12:00")
    for _ in range(3):
        decision = when_due(decision.incident)
    last_page = utc("2024-10-30T13:00")
    assert next_step(decision.incident) == ((3, 1), last_page + SLOW_ROUND)
    assert "all 2 rounds of policy payments go unanswered" in decision.incident.response.waiting_on
    again = when_due(decision.incident)
    assert paged(again) == [("ana", "webhook")]
    assert again.incident.due


def test_a_step_that_holds_until_nine_pages_at_nine_on_the_tick_whatever_restarts() -> None:
    held = opened("2023-01-24T05:00", team="office")  # 06:00 CET
    assert held.pages == ()
    assert held.timer
    assert held.timer.due_at == utc("2023-01-24T08:00")
    assert "holds until Tue 2023-01-24 09:00 Europe/Berlin" in held.incident.response.waiting_on
    restored = Incident.model_validate(held.incident.model_dump(mode="json"))  # a restart at 07:00
    assert paged(when_due(restored)) == [("ana", "webhook")]


def test_a_step_that_reaches_nobody_is_skipped_at_once() -> None:
    saturday = utc("2024-11-02T12:00")
    begun = opened("2024-11-02T12:00", team="search")
    assert paged(begun) == [("ana", "webhook")]
    assert begun.incident.response.step == 2
    escalated = begun.facts[1]
    assert isinstance(escalated, IncidentEscalated)
    assert escalated.skipped == ["step 1: nobody on call in schedule search-days"]
    assert begun.incident.due
    assert begun.incident.due.due_at == saturday + timedelta(minutes=15)


def test_a_policy_that_reaches_nobody_says_so_once_and_is_tried_until_somebody_does() -> None:
    begun = opened("2024-11-02T12:00", team="ghosts")  # Saturday
    assert begun.pages == ()
    assert "there is nobody now" in begun.incident.response.waiting_on
    assert begun.incident.due
    assert begun.incident.due.due_at == utc("2024-11-02T12:00") + RETRY
    assert [type(fact) for fact in begun.facts] == [ResponseStarted, IncidentEscalated]
    again = when_due(begun.incident)
    assert again.facts == ()
    assert again.timer
    just_before = fire(again.incident, Position(1, 1), teams().content, utc("2024-11-04T07:58"))
    assert just_before.timer
    assert just_before.timer.due_at == utc(
        "2024-11-04T08:00"
    )  # Monday 09:00 CET, sooner than the next try
    assert paged(when_due(just_before.incident)) == [("cleo", "email")]


def test_a_step_that_loses_its_people_midway_is_told_once() -> None:
    begun = opened(
        "2024-11-01T15:50", team="ghosts"
    )  # Friday, ten minutes before the schedule's end
    assert paged(begun) == [("cleo", "email")]
    due, at = next_step(begun.incident)
    late = fire(begun.incident, due, teams().content, at + SLOW_ROUND)
    assert [type(fact) for fact in late.facts] == [IncidentEscalated]
    assert when_due(late.incident).facts == ()


def test_a_user_who_was_deleted_since_is_skipped_and_the_deletion_is_said() -> None:
    begun = opened("2024-10-30T12:00")
    edited = teams(
        TEAMS.replace("  cleo: {", "  zoe: {")
        .replace("users: [cleo]", "users: [zoe]")
        .replace("user:cleo", "user:zoe")
    )
    due, at = next_step(begun.incident)
    second = fire(begun.incident, due, edited.content, at)
    assert paged(second) == [("ben", "email")]
    escalated = second.facts[0]
    assert isinstance(escalated, IncidentEscalated)
    assert escalated.skipped == ["step 2: user cleo is not in teams.yaml any more"]


def test_an_edit_of_the_policy_does_not_change_a_running_response() -> None:
    begun = opened("2024-10-30T12:00")
    shortened = teams(
        TEAMS.replace('      - {targets: ["user:ben", "user:cleo"], wait: 30m}\n', "")
    )
    due, at = next_step(begun.incident)
    assert paged(fire(begun.incident, due, shortened.content, at)) == [
        ("ben", "email"),
        ("cleo", "email"),
    ]


def test_a_row_that_a_newer_version_kept_can_be_read() -> None:
    begun = opened("2024-10-30T12:00").incident
    kept = begun.model_dump(mode="json")
    kept["policy"]["policy"]["steps"][0]["unheard_of"] = kept["policy"]["policy"]["unheard_of"] = 1
    assert Incident.model_validate(kept) == begun


def test_a_team_that_teams_yaml_does_not_know_gets_the_default_policy_and_it_is_said() -> None:
    begun = opened("2024-10-30T12:00", team="unheard-of")
    assert paged(begun) == [("ana", "webhook")]
    started = begun.facts[0]
    assert isinstance(started, ResponseStarted)
    assert (
        started.plan[0]
        == "team unheard-of is not in teams.yaml: the default policy payments is used"
    )


def test_one_person_behind_two_targets_is_paged_once_for_both_reasons() -> None:
    both = teams(
        TEAMS.replace('["schedule:payments-primary"]', '["schedule:payments-primary", "user:ana"]')
    )
    begun = on_triage(None, was_triaged(), both, utc("2024-10-30T12:00"))
    assert paged(begun) == [("ana", "webhook")]
    assert len(begun.pages[0].why) == 2


def test_an_acknowledgement_cancels_what_has_not_gone_out_and_says_what() -> None:
    begun = opened("2024-10-30T12:00")
    taken = acknowledge(
        begun.incident, "cleo", "link", utc("2024-10-30T12:00:30"), unsent=begun.pages
    )
    assert taken.incident.response.status == "acknowledged"
    assert taken.incident.due is None
    assert taken.incident.response.waiting_on == "cleo to resolve it, or the source to clear"
    (fact,) = taken.facts
    assert isinstance(fact, IncidentAcknowledged)
    assert fact.cut == [
        "page to ana by webhook (step 1)",
        "round 1: step 2: user ben and user cleo; then 30 min to acknowledge",
        "all later rounds",
    ]
    stale = fire(taken.incident, Position(1, 2), teams().content, utc("2024-10-30T12:15"))
    assert (stale.pages, stale.facts, stale.timer) == ((), (), None)
    assert try_next_method(taken.incident, begun.pages[0], teams().content) is None


def test_a_second_acknowledgement_changes_nothing_and_says_who_has_it() -> None:
    taken = acknowledge(
        opened("2024-10-30T12:00").incident, "ana", "api", utc("2024-10-30T12:01")
    ).incident
    again = acknowledge(taken, "ben", "link", utc("2024-10-30T12:02"))
    assert again.incident is taken
    assert (again.acted, again.facts, again.said) == (False, (), "already acknowledged by ana")


def test_an_acknowledgement_after_the_source_resolved_is_a_no_op_that_says_so() -> None:
    begun = opened("2024-10-30T12:00").incident
    over = on_triage(
        begun, subsided(2, intake_sequence=2), teams(), utc("2024-10-30T12:10")
    ).incident
    late = acknowledge(over, "ana", "topic", utc("2024-10-30T12:10:01"))
    assert late.incident is over
    assert (late.acted, late.said) == (False, "already resolved by source")


def test_the_source_resolves_what_a_person_acknowledged_and_the_acknowledgement_stays() -> None:
    taken = acknowledge(
        opened("2024-10-30T12:00").incident, "ana", "api", utc("2024-10-30T12:02")
    ).incident
    over = on_triage(taken, subsided(2, intake_sequence=9), teams(), utc("2024-10-30T12:30"))
    response = over.incident.response
    assert (response.status, response.resolved_by, response.resolved_at) == (
        "resolved",
        "source",
        utc("2024-10-30T12:30"),
    )
    assert (response.acknowledged_by, response.acknowledged_at) == ("ana", utc("2024-10-30T12:02"))
    (fact,) = over.facts
    assert isinstance(fact, IncidentResolved)
    assert (fact.via, fact.response.intake_sequence) == ("source", 9)


def test_a_resolution_keeps_the_intake_sequence_that_it_acted_on_when_later_news_comes() -> None:
    done = resolve(
        opened("2024-10-30T12:00").incident,
        "ana",
        "api",
        utc("2024-10-30T12:05"),
        note="rolled back",
    )
    news = on_triage(
        done.incident, was_confirmed(2, intake_sequence=7), teams(), utc("2024-10-30T12:06")
    )
    assert news.incident.response.intake_sequence == 1
    assert news.incident.response.triage_sequence == 2
    assert (news.facts, news.incident.response.resolution) == ((), "rolled back")
    again = resolve(news.incident, "ben", "api", utc("2024-10-30T12:07"))
    assert (again.acted, again.said) == (False, "already resolved by ana")


def test_news_of_triage_moves_priority_and_sequences_forward_only() -> None:
    begun = opened("2024-10-30T12:00").incident
    news = on_triage(
        begun,
        was_confirmed(5, intake_sequence=5, priority=Priority.P2),
        teams(),
        utc("2024-10-30T12:01"),
    )
    older = on_triage(
        news.incident, was_confirmed(4, intake_sequence=4), teams(), utc("2024-10-30T12:02")
    )
    assert older.incident == news.incident
    assert (older.incident.response.priority, older.incident.response.intake_sequence) == (
        Priority.P2,
        5,
    )
    assert older.incident.due == begun.due


EVENTS = [
    was_triaged(1),
    was_confirmed(2, intake_sequence=2, priority=Priority.P2),
    subsided(3, intake_sequence=3, priority=Priority.P2),
    was_confirmed(4, intake_sequence=4, priority=Priority.P3),
]


@pytest.mark.parametrize("order", list(permutations(range(len(EVENTS)))))
def test_the_same_events_in_any_order_and_twice_leave_the_same_state(
    order: tuple[int, ...],
) -> None:
    incident: Incident | None = None
    resolutions = 0
    now = utc("2024-10-30T12:00")
    for event in [EVENTS[place] for place in (*order, *order)]:
        decision = on_triage(incident, event, teams(), now)
        incident = decision.incident
        resolutions += sum(isinstance(fact, IncidentResolved) for fact in decision.facts)
    assert incident
    response = incident.response
    assert (response.status, response.priority, response.triage_sequence) == (
        "resolved",
        Priority.P3,
        4,
    )
    assert (response.intake_sequence, response.resolved_at, incident.due) == (3, now, None)
    assert resolutions == 1


def test_a_timer_of_a_step_that_has_passed_does_nothing() -> None:
    second = when_due(opened("2024-10-30T12:00").incident)
    stale = fire(second.incident, Position(1, 2), teams().content, utc("2024-10-30T12:16"))
    assert (stale.incident, stale.acted) == (second.incident, False)


def test_a_method_that_failed_for_good_is_followed_by_the_users_next_until_there_is_none() -> None:
    begun = opened("2024-10-30T12:00")
    by_mail = try_next_method(begun.incident, begun.pages[0], teams().content)
    assert by_mail
    assert by_mail.attempt_key == f"{INCIDENT}.1.1.ana.email"
    assert by_mail.why[-1] == "webhook failed for good: email is tried"
    assert try_next_method(begun.incident, by_mail, teams().content) is None


def test_what_turns_out_to_be_a_request_pages_nobody_any_more_and_says_who_said_so() -> None:
    begun = opened("2024-10-30T00:00")
    ended = on_triage(begun.incident, withdrawn(2), teams(), utc("2024-10-30T00:01"), begun.pages)
    (fact,) = ended.facts
    assert isinstance(fact, IncidentResolved)
    assert (fact.by, fact.via) == ("ben", "reclassification")
    assert fact.response.resolution == "it is a request: she asks for access"
    assert fact.cut[0].startswith("page to")
    assert ended.incident.due is None


def test_what_was_never_an_incident_begins_no_response() -> None:
    ended = on_triage(None, withdrawn(1), teams(), utc("2024-10-30T00:01"))
    assert [type(fact) for fact in ended.facts] == [IncidentResolved]
    assert ended.pages == ()
