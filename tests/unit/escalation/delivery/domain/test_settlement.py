"""What the result of an attempt changes: the page, the user's next method, the next step."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from services.escalation.delivery.domain.failure import MAX_ATTEMPTS, Failure
from services.escalation.delivery.domain.settlement import Claim, Settled, settle
from services.escalation.policies.domain.page_order import PageOrder, Position
from services.escalation.policies.domain.walk import RETRY, SLOW_ROUND
from services.escalation.response.domain.escalation import PageResult, fire
from services.escalation.response.domain.incident import Decision, Incident, PageStatus
from services.escalation.response.domain.orders import acknowledge
from services.escalation.response.domain.triage import on_triage
from shared.events.escalation import IncidentEscalated, PageFailed, PageSent
from tests.unit.escalation.builders import next_step, opened, teams, utc, was_triaged

NOON = utc("2024-10-30T12:00")
GONE = Failure("HTTP 404", final=True)

PEOPLE = """
default_policy: two
users:
  ana: {name: Ana, email: ana@example.com, webhook: "https://hooks.example.com/ana"}
  ben: {name: Ben, email: ben@example.com}
  cleo: {name: Cleo, email: cleo@example.com}
schedules:
  weekends:
    time_zone: Europe/Berlin
    rotation: daily
    handoff: "09:00"
    start: 2024-10-01
    users: [cleo]
    hours: {from: "09:00", to: "17:00", weekdays: [sat, sun]}
policies:
  two:
    rounds: 2
    steps:
      - {targets: ["user:ana", "user:ben"], wait: 30m}
      - {targets: ["user:cleo"], wait: 15m}
  alone:
    rounds: 1
    steps:
      - {targets: ["user:ana"], wait: 4h}
  empty-second:
    rounds: 2
    steps:
      - {targets: ["user:ana"], wait: 30m}
      - {targets: ["schedule:weekends"], wait: 30m}
  held-second:
    steps:
      - {targets: ["user:ana"], wait: 30m}
      - {targets: ["user:ben"], wait: 30m, hours: {from: "15:00", to: "17:00", time_zone: UTC}}
  short:
    rounds: 2
    steps:
      - {targets: ["user:ana"], wait: 1m}
  weekends:
    steps:
      - {targets: ["schedule:weekends"], wait: 30m}
teams:
  short: {policy: short}
  weekends: {policy: weekends}
  two: {policy: two}
  alone: {policy: alone}
  empty-second: {policy: empty-second}
  held-second: {policy: held-second}
"""


@dataclass
class Response:
    """A response whose ledger is in memory."""

    incident: Incident
    now: datetime
    ledger: dict[str, PageResult] = field(default_factory=dict)
    facts: list[object] = field(default_factory=list)

    @classmethod
    def begin(cls, team: str = "two", now: datetime = NOON) -> "Response":
        decision = on_triage(None, was_triaged(team=team), teams(PEOPLE), now)
        begun = cls(decision.incident, now)
        begun._apply(decision)
        return begun

    def waiting(self) -> Iterator[PageOrder]:
        for page in list(self.ledger.values()):
            if page.status is PageStatus.PENDING:
                yield page.order

    def page(self, user: str, method: str) -> PageOrder:
        return next(o for o in self.waiting() if (o.user, o.method) == (user, method))

    def settle(self, order: PageOrder, failure: Failure | None, attempts: int = 1) -> Settled:
        others = [
            page
            for key, page in self.ledger.items()
            if page.order.position == self.incident.position and key != order.attempt_key
        ]
        claim = Claim(order, attempts, False, self.now, None, self.incident)
        content = teams(PEOPLE).content
        row, decision = settle(self.incident, claim, failure, others, content, self.now, 0.5)
        self.ledger[row.attempt_key] = PageResult(order, row.status, row.error)
        self._apply(decision)
        return row

    def fail_all(self) -> int:
        """Every page fails for good, and those that follow, until nothing is left to send."""
        number = 0
        while waiting := list(self.waiting()):
            number += len(waiting)
            for order in waiting:
                self.settle(order, GONE)
        return number

    def fire(self) -> None:
        due, self.now = next_step(self.incident)
        self._apply(fire(self.incident, due, teams(PEOPLE).content, self.now))

    def _apply(self, decision: Decision) -> None:
        self.incident = decision.incident
        self.facts += decision.facts
        for page in decision.pages:
            self.ledger.setdefault(page.attempt_key, PageResult(page, PageStatus.PENDING))

    @property
    def paged(self) -> list[tuple[str, str]]:
        return [(page.order.user, page.order.method) for page in self.ledger.values()]


def test_when_every_page_of_a_step_failed_for_good_the_next_step_begins_at_once() -> None:
    it = Response.begin()
    it.settle(it.page("ana", "webhook"), GONE)
    it.settle(it.page("ben", "email"), Failure("SMTP 550", final=True))
    assert it.incident.position == (1, 1), "ana's mail may arrive"
    it.now += timedelta(seconds=2)
    it.settle(it.page("ana", "email"), GONE)
    assert it.incident.position == (1, 2)
    assert it.paged[-1] == ("cleo", "email")
    failed, escalated = it.facts[-2:]
    assert isinstance(failed, PageFailed)
    assert isinstance(escalated, IncidentEscalated)
    assert escalated.paged == ["cleo"]
    (cause,) = escalated.skipped
    assert cause.startswith("step 1: no page arrived: ")
    for page in ("ana by webhook (HTTP 404)", "ana by email (HTTP 404)", "ben by email (SMTP 550)"):
        assert page in cause
    assert it.incident.response.waiting_on.endswith("; no page of step 1 arrived")
    assert next_step(it.incident) == ((2, 1), it.now + timedelta(minutes=15))


@pytest.mark.parametrize("status", ["sent", "pending", "sending"])
def test_a_page_that_arrived_or_may_arrive_keeps_the_step(status: str) -> None:
    it = Response.begin()
    ben = it.page("ben", "email")
    it.ledger[ben.attempt_key] = PageResult(ben, PageStatus(status))
    it.settle(it.page("ana", "webhook"), GONE)
    it.settle(it.page("ana", "email"), GONE)
    assert it.incident.position == (1, 1)
    assert next_step(it.incident) == ((1, 2), NOON + timedelta(minutes=30))


def test_a_failure_that_is_tried_again_keeps_the_step() -> None:
    it = Response.begin("alone")
    it.settle(it.page("ana", "webhook"), GONE)
    mail = it.page("ana", "email")
    it.settle(mail, Failure("SMTP 450"))
    assert len(it.paged) == 2
    it.settle(mail, Failure("SMTP 450"), attempts=MAX_ATTEMPTS)
    assert isinstance(it.facts[-1], IncidentEscalated)


def test_a_late_failure_of_an_earlier_step_changes_nothing() -> None:
    it = Response.begin("held-second")
    webhook = it.page("ana", "webhook")
    it.settle(webhook, GONE)
    mail = it.page("ana", "email")
    it.now = utc("2024-10-30T15:00")
    due, _ = next_step(it.incident)
    it._apply(fire(it.incident, due, teams(PEOPLE).content, it.now))
    assert it.incident.position == (1, 2)
    before = it.incident
    it.settle(mail, GONE)
    assert it.incident is before


def test_a_late_failure_changes_nothing_though_the_current_step_has_failed() -> None:
    it = Response.begin("held-second")
    it.settle(it.page("ana", "webhook"), GONE)
    late = it.page("ana", "email")
    it.now = utc("2024-10-30T15:00")
    it._apply(fire(it.incident, Position(1, 2), teams(PEOPLE).content, it.now))
    it.settle(it.page("ben", "email"), GONE)
    before, published = it.incident, len(it.facts)
    it.settle(late, GONE)
    assert it.incident is before
    assert len(it.facts) == published + 1, "the failure of the page alone"


def test_a_failure_changes_nothing_while_the_policy_is_tried_again_for_lack_of_people() -> None:
    it = Response.begin("weekends", utc("2024-11-02T15:50"))  # Saturday, ten minutes before the end
    it.fire()
    assert it.incident.due
    assert it.incident.due.again
    before = it.incident
    it.settle(it.page("cleo", "email"), GONE)
    assert it.incident is before


def test_after_an_acknowledgement_a_failure_begins_no_step() -> None:
    it = Response.begin("alone")
    it.settle(it.page("ana", "webhook"), GONE)
    mail = it.page("ana", "email")
    it.incident = acknowledge(it.incident, "ben", "api", NOON).incident
    row = it.settle(mail, GONE)
    assert row.status is PageStatus.CANCELLED
    assert it.incident.due is None
    assert len(it.paged) == 2


def test_a_step_whose_hours_have_not_begun_holds_after_a_failed_one() -> None:
    it = Response.begin("held-second")
    it.fail_all()
    assert it.paged == [("ana", "webhook"), ("ana", "email")]
    assert next_step(it.incident) == ((1, 2), utc("2024-10-30T15:00"))
    assert "step 2 holds until" in it.incident.response.waiting_on


def test_before_a_new_round_there_is_a_pause_though_the_last_step_failed() -> None:
    it = Response.begin()
    it.fail_all()
    assert it.incident.position == (1, 2)
    assert next_step(it.incident) == ((2, 1), NOON + RETRY), "sooner than the step would wait"
    last = it.facts[-1]
    assert isinstance(last, IncidentEscalated)
    assert (last.paged, len(last.skipped)) == ([], 1)
    assert it.incident.response.waiting_on == (
        "step 1 of round 2, which begins at 2024-10-30 12:05:00Z; no page of step 2 arrived"
    )


def test_when_all_rounds_are_spent_the_pause_is_that_of_slow_rounds() -> None:
    it = Response.begin("alone")
    it.fail_all()
    assert next_step(it.incident) == ((2, 1), NOON + timedelta(hours=4)), "the wait of the step"
    it = Response.begin()
    for _ in range(2):
        it.fail_all()
        it.fire()
    it.fail_all()
    assert next_step(it.incident)[1] - it.now == SLOW_ROUND


def test_a_next_step_that_reaches_nobody_does_not_begin_the_next_round_at_once() -> None:
    it = Response.begin("empty-second")
    it.fail_all()
    assert it.paged == [("ana", "webhook"), ("ana", "email")]
    assert next_step(it.incident) == ((2, 1), NOON + RETRY)


def test_the_pause_before_a_new_round_is_not_longer_than_the_wait_of_the_step() -> None:
    it = Response.begin("short")
    it.fail_all()
    assert next_step(it.incident) == ((2, 1), NOON + timedelta(minutes=1))


def test_a_slow_round_keeps_its_pause_when_its_last_steps_reach_nobody() -> None:
    it = Response.begin("empty-second")
    for _ in range(2):
        it.fail_all()
        it.fire()
    assert it.incident.position == (3, 1)
    it.fail_all()
    assert next_step(it.incident) == ((4, 1), it.now + SLOW_ROUND)


@pytest.mark.parametrize("team", ["two", "alone", "empty-second", "held-second", "short"])
def test_when_everything_fails_for_good_for_two_days_rounds_keep_their_pauses(team: str) -> None:
    it, times = Response.begin(team), []
    it.fail_all()
    while it.now < NOON + timedelta(days=2):
        it.fire()
        if it.fail_all():
            times.append(it.now)
        assert it.incident.due
        assert it.incident.due.due_at > it.now, "never due at once: that would be a spin"
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= RETRY
    assert max(gaps) <= timedelta(hours=24)


@pytest.mark.parametrize(
    ("before", "uncertain", "final", "duplicate"),
    [
        (False, False, False, False),
        (False, True, False, True),
        (True, False, False, True),
        (False, True, True, False),  # no other attempt follows that could be a duplicate
        (True, False, True, True),
    ],
)
def test_only_an_attempt_that_may_have_arrived_makes_the_next_a_possible_duplicate(
    before: bool, uncertain: bool, final: bool, duplicate: bool
) -> None:
    begun = opened("2024-10-30T12:00")
    claim = Claim(begun.pages[0], 1, before, NOON, None, begun.incident)
    failure = Failure("timed out", final=final, uncertain=uncertain)
    row, decision = settle(begun.incident, claim, failure, [], teams().content, NOON, 0.5)
    failed = decision.facts[0]
    assert isinstance(failed, PageFailed)
    assert row.possible_duplicate is failed.page.possible_duplicate is duplicate
    assert failed.final is final


@pytest.mark.parametrize("duplicate", [False, True])
def test_a_page_that_arrived_says_whether_it_may_have_arrived_before(duplicate: bool) -> None:
    begun = opened("2024-10-30T12:00")
    claim = Claim(begun.pages[0], 2, duplicate, NOON, None, begun.incident)
    row, decision = settle(begun.incident, claim, None, [], teams().content, NOON, 0.5)
    (sent,) = decision.facts
    assert isinstance(sent, PageSent)
    assert (row.status, row.error, row.sent_at) == (PageStatus.SENT, None, NOON)
    assert row.possible_duplicate is sent.page.possible_duplicate is duplicate
    order = begun.pages[0]
    assert sent.page.model_dump(exclude={"attempts", "possible_duplicate"}) == {
        "attempt_key": order.attempt_key,
        "user": order.user,
        "method": order.method,
        "step": 1,
        "round": 1,
        "why": list(order.why),
    }
