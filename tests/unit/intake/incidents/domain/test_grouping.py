"""Alerts have an identity of their own; which incident they belong to is policy."""

from datetime import timedelta

import pytest

from services.intake.incidents.domain.grouping import group_alerts
from services.intake.incidents.domain.incident import BatchResult, Incident
from services.intake.incidents.policy import IntakePolicy, Rule
from services.intake.signals.domain import Alert, Group
from shared.events.intake import IncidentCleared, IncidentReported
from tests.unit.intake.builders import NOON, POLICY, alert, decisions, kinds, only, take

_BY_CLUSTER = Rule(group_by=["cluster"])


def policy(*rules: Rule) -> IntakePolicy:
    return POLICY.model_copy(update={"rules": list(rules)})


def of(group: str, key: str, status: str = "firing") -> Alert:
    """An alert that its sender routes in a group."""
    return alert(status, key=key, group=Group(key=group, is_told=False), summary=f"{key} is down")


def incidents(result: BatchResult) -> list[Incident]:
    return sorted({**result.changed, **result.opened}.values(), key=lambda one: one.number)


class TestTheSendersGroups:
    def test_alerts_of_a_group_are_one_incident_until_all_have_ended(self) -> None:
        opened = take([of("g", "a"), of("g", "b")])
        incident = only(opened)
        assert (incident.alerts_firing, incident.alerts_total) == (2, 2)
        assert [(one["status"], one["summary"]) for one in incident.alerts] == [
            ("firing", "a is down"),
            ("firing", "b is down"),
        ]
        half = take([of("g", "a", "resolved")], opened)
        assert decisions(half) == ["alert ended"]
        assert [one["status"] for one in only(half).alerts] == ["resolved", "firing"]
        over = take([of("g", "b", "resolved")], half)
        assert kinds(over) == [IncidentCleared]

    def test_an_alert_is_found_again_in_whatever_group_it_resolves(self) -> None:
        """D03: the sender's routing was changed between its beginning and its end."""
        opened = take([of("by name", "a")])
        over = take([of("by cluster", "a", "resolved")], opened)
        assert decisions(over) == ["cleared"]
        assert kinds(over) == [IncidentCleared]

    def test_an_alert_that_still_fires_stays_in_its_incident(self) -> None:
        opened = take([of("by name", "a")])
        again = take([of("by cluster", "a"), of("by cluster", "b")], opened)
        assert decisions(again) == ["joined", "opened"]
        assert [(one.alerts_firing, one.signal_count) for one in incidents(again)] == [
            (1, 2),
            (1, 1),
        ]
        over = take([of("by cluster", key, "resolved") for key in "ab"], again)
        assert {one.status for one in incidents(over)} == {"cleared"}

    def test_unlisted_alerts_of_a_group_that_is_no_more_expire(self) -> None:
        told = Group(key="by name", unlisted=3)
        opened = take([alert(key="a", group=told)])
        after = take([of("by cluster", "a", "resolved")], opened)
        incident = only(after)
        assert (incident.status, incident.alerts_firing, incident.alerts_unlisted) == ("open", 3, 3)
        due = NOON + POLICY.unlisted_timeout + POLICY.expiry_grace
        assert incident.expiry_armed_at == due


class TestThePolicysGroups:
    def test_alerts_that_agree_in_labels_are_one_incident(self) -> None:
        by = policy(_BY_CLUSTER)
        alerts = [alert(key=str(n), labels={"cluster": "ab"[n % 2]}) for n in range(6)]
        result = take(alerts, policy=by)
        assert [one.alerts_firing for one in incidents(result)] == [3, 3]
        ends = [alert("resolved", key=str(n), labels={"cluster": "ab"[n % 2]}) for n in range(6)]
        assert {one.status for one in incidents(take(ends, result, policy=by))} == {"cleared"}

    def test_an_alert_without_the_labels_is_on_its_own(self) -> None:
        result = take([alert(key="a"), alert(key="b")], policy=policy(_BY_CLUSTER))
        assert len(result.opened) == 2

    def test_the_first_rule_that_matches_decides(self) -> None:
        rules = [
            Rule(match={"severity": "page"}),
            Rule(integration="other", group_by=["cluster"]),
            Rule(integration="probe", match={"cluster": "a"}, group_by=["service"]),
        ]
        by = policy(*rules)
        in_a = [alert(key=key, labels={"cluster": "a"}) for key in "xy"]
        assert len(take(in_a, policy=by).opened) == 1
        paged = [alert(key=k, labels={"cluster": "a", "severity": "page"}) for k in "xy"]
        assert len(take(paged, policy=by).opened) == 2

    def test_a_full_incident_takes_no_more(self) -> None:
        by = policy(Rule(group_by=["service"], max_alerts=2))
        result = take([alert(key=str(n)) for n in range(5)], policy=by)
        assert [one.alerts_firing for one in incidents(result)] == [2, 2, 1]
        assert [one.takes_more for one in incidents(result)] == [False, False, True]
        repeated = take([alert(key="0")], result, policy=by)
        assert decisions(repeated) == ["joined"], "one that is in it already"

    def test_after_its_window_an_incident_takes_no_more(self) -> None:
        by = policy(Rule(group_by=["service"], window=timedelta(minutes=10)))
        opened = take([alert(key="a")], policy=by)
        joined = take([alert(key="b")], opened, NOON + timedelta(minutes=9), policy=by)
        later = take([alert(key="c")], joined, NOON + timedelta(minutes=10), policy=by)
        assert kinds(later)[-1] is IncidentReported
        assert [one.alerts_firing for one in incidents(later)] == [2, 1]

    @pytest.mark.parametrize("before", [True, False])
    def test_alerts_end_where_they_fire_when_the_policy_changes(self, before: bool) -> None:
        by = policy(Rule(group_by=["service"]))
        first, then = (by, POLICY) if before else (POLICY, by)
        opened = take([alert(key="a")], policy=first)
        over = take([alert("resolved", key="a")], opened, policy=then)
        assert decisions(over) == ["cleared"]


class TestIdentityByLabels:
    """A sender whose key differs between the beginning of an alert and its end."""

    by_host = policy(Rule(identify_by=["host", "check"]))

    def test_its_end_is_found_by_its_labels(self) -> None:
        labels = {"host": "web1", "check": "disk"}
        opened = take([alert(key="id 1", labels=labels)], policy=self.by_host)
        over = take([alert("resolved", key="id 2", labels=labels)], opened, policy=self.by_host)
        assert decisions(over) == ["cleared"]

    def test_other_labels_are_another_alert(self) -> None:
        alerts = [alert(key="id", labels={"host": host}) for host in ("web1", "web2")]
        assert len(take(alerts, policy=self.by_host).opened) == 2

    def test_without_the_labels_the_key_counts(self) -> None:
        alerts = [alert(key="id"), alert(key="id"), alert(key="other")]
        assert decisions(take(alerts, policy=self.by_host)) == ["opened", "joined", "opened"]

    def test_in_its_senders_group_it_is_one_alert(self) -> None:
        labels = {"host": "web1"}
        sent = [alert(key=key, labels=labels, group=Group(key="g")) for key in ("1", "2")]
        assert only(take(sent, policy=self.by_host)).alerts_firing == 1


def test_an_acknowledgement_at_the_sender_is_told_at_once() -> None:
    opened = take([alert()])
    taken = take([alert("acknowledged", by="ana")], opened, NOON + timedelta(seconds=1))
    assert decisions(taken) == ["acknowledged"]
    (event,) = taken.events
    assert event.fact.incident.acknowledged_by == "ana"
    assert decisions(take([alert("acknowledged", key="other")], opened)) == ["nothing was open"]
    over = take([alert("resolved")], taken)
    assert kinds(over) == [IncidentCleared]


def test_a_decision_says_what_put_the_alert_where_it_went() -> None:
    by_cluster = policy(_BY_CLUSTER)
    for sent, rules, why in (
        (alert(), POLICY, ""),
        (of("{}:{job}", "a"), POLICY, "by its sender's group {}:{job}"),
        (alert(labels={"cluster": "eu-1"}), by_cluster, "by cluster=eu-1"),
        (alert(labels={"job": "x"}), by_cluster, ""),
    ):
        (item,) = group_alerts([sent], rules)
        assert item.why == why
