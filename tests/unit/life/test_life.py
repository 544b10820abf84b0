"""The life of incidents under a stateful search: whatever happens, in any order, nobody is
forgotten and nothing is published twice.
"""

from datetime import datetime, timedelta
from functools import reduce
from itertools import count
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.escalation.delivery.domain.failure import Failure
from services.intake.signals.domain import Alert, AlertData, Group, Signal, as_alert
from services.reporting.timeline.domain.state import Incident, apply_event
from tests.unit.life.bus import READS
from tests.unit.life.checks import Witness, check_always, check_quiet
from tests.unit.life.policies import CATALOGUES, INTAKE, TEAMS
from tests.unit.life.world import World

_ENDS = [None, timedelta(hours=-3), timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)]
_SPANS = [
    timedelta(seconds=1),
    timedelta(seconds=15),
    timedelta(minutes=4),
    timedelta(hours=1),
    timedelta(days=1),
]
_GROUPS = [
    None,
    None,
    None,
    Group(),
    Group(2),
    Group(all_resolved=True),
    Group(3, all_resolved=None),
]
_FAILURES = [
    None,
    Failure("HTTP 500"),
    Failure("time-out", uncertain=True),
    Failure("HTTP 404", final=True),
]

alert_fields = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["disk", "network", "memory"]),
        "alert": st.sampled_from([None, "a", "b"]),
        "status": st.sampled_from([*["firing"] * 4, *["resolved"] * 2, "acknowledged"]),
        "severity": st.sampled_from(["critical", "warning", "info", None]),
        "service": st.sampled_from(["checkout", "search", None]),
        "ends_in": st.sampled_from(_ENDS),
        "group": st.sampled_from(_GROUPS),
    }
)
# Reporting reads at the end; the order of reading must not matter to it.
paths = st.sampled_from(
    [(reader, READS[reader][0]) for reader in ("intake", "triage", "escalation")]
)
services = st.sampled_from(["intake", "triage"])
picks = st.integers(0, 50)
versions = st.integers(0, 2)
intake_versions = st.integers(0, len(INTAKE) - 1)


class Life(RuleBasedStateMachine):
    """Every rule is something that happens to the system."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.witness = Witness()
        self.ids = count(1)

    @initialize(what=alert_fields, known=st.booleans(), intake=intake_versions)
    def start(self, what: dict[str, Any], known: bool, intake: int) -> None:
        self.world.intake.policy = INTAKE[intake]
        self.world.send([self.alert({**what, "status": "firing"})])
        if known:
            self.the_system_becomes_idle()

    @rule(what=st.lists(alert_fields, min_size=1, max_size=4))
    def signals_arrive(self, what: list[dict[str, Any]]) -> None:
        self.world.send([self.alert(one) for one in what])

    @rule(place=picks, how_many=st.integers(1, 3))
    def a_sender_repeats_signals(self, place: int, how_many: int) -> None:
        sent = [alert for alerts in self.world.signals for alert in alerts]
        self.world.send([sent[(place + more) % len(sent)] for more in range(how_many)])

    @rule()
    def signals_are_forgotten(self) -> None:
        self.world.intake.known.clear()

    @rule(path=paths, how_many=st.integers(1, 5))
    def a_reader_reads(self, path: tuple[str, str], how_many: int) -> None:
        self.world.deliver(*path, how_many)

    @rule()
    def facts_reach_escalation(self) -> None:
        for reader in ("triage", "escalation"):
            for topic in READS[reader]:
                self.world.deliver(reader, topic)

    @rule(path=paths, place=picks, how_many=st.integers(1, 5))
    def a_reader_reads_again(self, path: tuple[str, str], place: int, how_many: int) -> None:
        if read := self.world.bus.read_before(*path):
            place %= len(read)
            self.world.hear(path[0], read[place : place + how_many])

    @rule(span=st.sampled_from(_SPANS))
    def time_passes(self, span: timedelta) -> None:
        self.world.pass_time(span)

    @rule(service=st.sampled_from(["intake", "escalation"]), limit=st.integers(1, 3))
    def timers_fire(self, service: str, limit: int) -> None:
        self.world.fire(service, limit)

    @precondition(lambda self: self.world.escalation.incidents)
    @rule(place=picks)
    def somebody_acknowledges(self, place: int) -> None:
        self.world.escalation.acknowledge(self.world.escalation.choose(place), self.world.now)

    @precondition(lambda self: self.world.escalation.incidents)
    @rule(place=picks)
    def somebody_resolves(self, place: int) -> None:
        self.world.escalation.resolve(self.world.escalation.choose(place), self.world.now)

    @precondition(lambda self: self.world.escalation.claimable(self.world.now))
    @rule(place=picks)
    def a_page_is_claimed(self, place: int) -> None:
        rows = self.world.escalation.claimable(self.world.now)
        self.world.escalation.claim(rows[place % len(rows)], self.world.now)

    @precondition(lambda self: self.world.escalation.claims)
    @rule(place=picks, failure=st.sampled_from(_FAILURES))
    def a_page_is_settled(self, place: int, failure: Failure | None) -> None:
        claims = self.world.escalation.claims
        self.world.escalation.record(claims[place % len(claims)], failure, self.world.now)

    @rule(intake=intake_versions, catalogue=versions, teams=versions)
    def policies_change(self, intake: int, catalogue: int, teams: int) -> None:
        self.world.intake.policy = INTAKE[intake]
        self.world.triage.catalogue = CATALOGUES[catalogue]
        self.world.escalation.teams = TEAMS[teams]

    @rule(service=st.sampled_from(["intake", "triage", "escalation"]))
    def a_database_fails_over(self, service: str) -> None:
        getattr(self.world, service).epoch += 1

    @rule(service=services)
    def a_database_is_backed_up(self, service: str) -> None:
        self.world.back_up(service)

    @rule(service=services)
    def a_database_is_restored(self, service: str) -> None:
        self.read_all()
        self.world.restore(service)
        self.witness.forget(service)

    @rule(how_many=st.integers(1, 3))
    def signals_are_read(self, how_many: int) -> None:
        self.world.read_signals(how_many)

    @rule()
    def the_system_becomes_idle(self) -> None:
        self.world.quieten()
        self.read_all()
        check_quiet(self.world)

    @invariant()
    def invariants_hold(self) -> None:
        self.read_all()
        check_always(self.world)

    def read_all(self) -> None:
        for topic in self.world.bus.topics:
            for event in self.world.bus.take("witness", topic, 1_000_000):
                self.witness.read(event)

    def teardown(self) -> None:
        self.the_system_becomes_idle()
        self.world.pass_time(timedelta(days=2))
        self.the_system_becomes_idle()
        self.all_orders_of_reading_show_the_same()

    def all_orders_of_reading_show_the_same(self) -> None:
        topics = self.world.bus.topics.values()
        backwards = [event for topic in topics for event in (*topic[::-1], *topic[::2])]
        for key, incident in self.world.reporting.incidents.items():
            own = [event for event in backwards if event.subject == key]
            assert reduce(apply_event, own, Incident(key)) == incident, (
                "the order of reading changes nothing"
            )

    def alert(self, what: dict[str, Any]) -> Alert:
        now: datetime = self.world.now
        ends_in, group = what["ends_in"], what["group"]
        if group and what["status"] != "resolved" and group.all_resolved is not False:
            group = None  # a group of which one fires is not over
        fields = {name: value for name, value in what.items() if name not in ("ends_in", "group")}
        data = AlertData(summary="it burns", ends_at=ends_in and now + ends_in, **fields)
        made = as_alert(Signal("probe", f"s{next(self.ids)}", now, now, None, data, group))
        assert made is not None
        return made


TestLife = Life.TestCase
# Without Phase.explain and with one failure at a time, so that a failure is reported before the
# test run times out.
TestLife.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
